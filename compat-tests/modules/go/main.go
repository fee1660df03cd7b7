// Starts the Kafka container of Testcontainers for Go on the image named in the environment, and
// produces and consumes with franz-go. One line of JSON a mode.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/kafka"
	"github.com/twmb/franz-go/pkg/kgo"
)

const limit = 30 * time.Second

var values = []string{"eins", "zwei", "drei"}

type outcome struct {
	Mode    string  `json:"mode"`
	Client  string  `json:"client"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error"`
}

func produceAndConsume(brokers []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...), kgo.AllowAutoTopicCreation(),
		kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("words"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		// The topic is made by the first produce; the consumer must not look for it a minute later.
		kgo.MetadataMinAge(100*time.Millisecond), kgo.MetadataMaxAge(time.Second),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	for _, value := range values {
		record := &kgo.Record{Topic: "words", Key: []byte("key"), Value: []byte(value)}
		if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
			return fmt.Errorf("producing %s: %w", value, err)
		}
	}
	var seen []string
	for len(seen) < len(values) {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("expected %v within %s, consumed %v", values, limit, seen)
		}
		for _, failure := range fetches.Errors() {
			fmt.Fprintln(os.Stderr, failure.Topic, failure.Err)
		}
		fetches.EachRecord(func(record *kgo.Record) { seen = append(seen, string(record.Value)) })
	}
	if !slices.Equal(seen, values) {
		return fmt.Errorf("expected %v, consumed %v", values, seen)
	}
	return client.CommitUncommittedOffsets(ctx)
}

func run(image string, options ...testcontainers.ContainerCustomizer) (seconds float64, err error) {
	ctx := context.Background()
	begin := time.Now()
	container, err := kafka.Run(ctx, image, options...)
	seconds = time.Since(begin).Seconds()
	defer func() {
		if container == nil {
			return
		}
		if err != nil {
			if logs, problem := container.Logs(ctx); problem == nil {
				_, _ = io.Copy(os.Stderr, logs)
			}
		}
		_ = testcontainers.TerminateContainer(container)
	}()
	if err != nil {
		return seconds, err
	}
	brokers, err := container.Brokers(ctx)
	if err != nil {
		return seconds, err
	}
	return seconds, produceAndConsume(brokers)
}

func report(mode, image string, options ...testcontainers.ContainerCustomizer) {
	if without := os.Getenv("WITHOUT"); without != "" && strings.Contains(mode, without) {
		return
	}
	seconds, err := run(image, options...)
	done := outcome{Mode: mode, Client: "franz-go 1.20.7", Seconds: float64(int(seconds*100)) / 100}
	if err != nil {
		done.Error = err.Error()
	}
	line, err := json.Marshal(done)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func main() {
	image := os.Getenv("CONFLUENT_IMAGE")
	// What it costs to find the engine is no part of a start.
	if provider, err := testcontainers.ProviderDocker.GetProvider(); err == nil {
		_ = provider.Health(context.Background())
	}
	report("kafka.Run", image)
	report("kafka.Run, with a cluster id", image, kafka.WithClusterID("MkU3OEVBNTcwNTJENDM2Qk"))
	fmt.Println("end go")
}
