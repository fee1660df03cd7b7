package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"time"
)

var (
	bootstrap = os.Getenv("BOOTSTRAP")
	runID     = os.Getenv("RUN_ID")
	failures  = 0
)

// check runs body and prints one line. body fails by panicking; see must and equal. One that does
// not end before its deadline is failed and left behind.
func check(name string, seconds int, body func(ctx context.Context)) {
	limit := time.Duration(seconds) * time.Second
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	done := make(chan any, 1)
	go func() {
		defer func() {
			reason := recover()
			if reason != nil {
				fmt.Fprintln(os.Stderr, reason, string(debug.Stack()))
			}
			done <- reason
		}()
		body(ctx)
	}()
	var reason any
	select {
	case reason = <-done:
	case <-time.After(limit + time.Second):
		reason = fmt.Sprintf("not done after %d s", seconds)
	}
	if reason == nil {
		fmt.Println("ok go: " + name)
		return
	}
	failures++
	fmt.Println("FAILED go: " + name + ": " + strings.Join(strings.Fields(fmt.Sprint(reason)), " "))
}

// unique is a topic or group name that no other run uses.
func unique(name string) string {
	return name + "-" + runID
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func must1[T any](value T, err error) T {
	must(err)
	return value
}

func equal[T any](actual, expected T, what string) {
	if !reflect.DeepEqual(actual, expected) {
		panic(fmt.Sprintf("%s: got %s, expected %s", what, shorten(actual), shorten(expected)))
	}
}

func shorten(value any) string {
	text := fmt.Sprintf("%+v", value)
	if len(text) > 600 {
		text = text[:600] + "..."
	}
	return text
}

// eventually calls body until it says true.
func eventually(ctx context.Context, what string, body func() bool) {
	for !body() {
		if ctx.Err() != nil {
			panic(what + ": not before the deadline")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func numbers(from, to int64) []int64 {
	list := []int64{}
	for n := from; n < to; n++ {
		list = append(list, n)
	}
	return list
}
