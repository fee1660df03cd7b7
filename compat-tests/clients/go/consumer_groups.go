package main

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// consumerGroups are groups of KIP-848: franz-go speaks it when its context says so, Sarama does not
// and is a classic member beside it.
func consumerGroups() {
	check("franz_three_members_share_partitions_uniform", 90, func(ctx context.Context) {
		franzShareConsumer(ctx, "uniform", kgo.StickyBalancer())
	})
	check("franz_three_members_share_partitions_range_of_the_broker", 90, func(ctx context.Context) {
		franzShareConsumer(ctx, "range", kgo.RangeBalancer())
	})
	check("franz_members_move_to_the_consumer_protocol_and_back", 90, franzMoves)
	check("sarama_members_share_a_group_with_one_of_the_consumer_protocol", 90, saramaShares)
}

// franzConsumer are the options of a member of the consumer protocol.
func franzConsumer(balancer kgo.GroupBalancer) []kgo.Opt {
	ctx := context.WithValue(context.Background(), "opt_in_kafka_next_gen_balancer_beta", true)
	return []kgo.Opt{kgo.WithContext(ctx), kgo.Balancers(balancer)}
}

func typeOf(ctx context.Context, group string) string {
	admin := kadm.NewClient(franz())
	defer admin.Close()
	for _, kind := range []string{"classic", "consumer"} {
		if _, there := must1(admin.ListGroupsByType(ctx, []string{kind}))[group]; there {
			return kind
		}
	}
	return "none"
}

func numbered(prefix string, count int) []string {
	values := []string{}
	for n := range count {
		values = append(values, fmt.Sprintf("%s%d", prefix, n))
	}
	return values
}

// settleAny waits until the members that are there have all partitions once, and equally many.
func (m *franzMembers) settleAny(ctx context.Context, partitions, members int) {
	sizes := []int{}
	for n := range len(m.owned) {
		if there := n - (len(m.owned) - members); there >= 0 {
			sizes = append(sizes, (partitions+there)/members)
		} else {
			sizes = append(sizes, 0)
		}
	}
	m.settle(ctx, sizes...)
}

// ends waits for every record, ends the members that are there, and compares.
func (m *franzMembers) ends(ctx context.Context, expected []string, there ...int) {
	eventually(ctx, "every record read", func() bool {
		m.Lock()
		defer m.Unlock()
		return len(m.values) >= len(expected)
	})
	for _, number := range there {
		m.leave(number)
	}
	m.polling.Wait()
	sort.Strings(expected)
	sort.Strings(m.values)
	equal(m.values, expected, "records read by the group")
}

func franzShareConsumer(ctx context.Context, name string, balancer kgo.GroupBalancer) {
	topic := franzCreate(ctx, "f-consumer-"+name, 6)
	expected := numbered("a", 60)
	franzSendValues(ctx, topic, 6, expected)
	members := &franzMembers{topic: topic, group: unique("f-consumer-" + name)}
	for number := range 3 {
		members.join(franzConsumer(balancer)...)
		members.settleAny(ctx, 6, number+1)
	}
	equal(typeOf(ctx, members.group), "consumer", "type of the group")
	members.leave(1)
	members.settle(ctx, 0, 3, 3)
	more := numbered("b", 60)
	franzSendValues(ctx, topic, 6, more)
	members.ends(ctx, append(expected, more...), 0, 2)
}

func franzMoves(ctx context.Context) {
	topic := franzCreate(ctx, "f-moves", 6)
	expected := numbered("a", 60)
	franzSendValues(ctx, topic, 6, expected)
	members := &franzMembers{topic: topic, group: unique("f-moves")}
	classic := kgo.Balancers(kgo.RangeBalancer())
	members.join(classic)
	members.join(classic)
	members.settleAny(ctx, 6, 2)
	equal(typeOf(ctx, members.group), "classic", "type before")
	step := func(leaves int, kind string, options ...kgo.Opt) {
		members.leave(leaves)
		members.join(options...)
		members.settleAny(ctx, 6, 2)
		equal(typeOf(ctx, members.group), kind, "type after a step")
		more := numbered(fmt.Sprintf("s%d-", leaves), 30)
		franzSendValues(ctx, topic, 6, more)
		expected = append(expected, more...)
	}
	step(0, "consumer", franzConsumer(kgo.StickyBalancer())...)
	step(1, "consumer", franzConsumer(kgo.StickyBalancer())...)
	step(2, "consumer", classic)
	step(3, "classic", classic)
	members.ends(ctx, expected, 4, 5)
}

func saramaShares(ctx context.Context) {
	topic, group := saramaCreate(ctx, "s-shares", 6, nil), unique("s-shares")
	expected := numbered("a", 60)
	saramaSendValues(ctx, topic, 6, expected)
	first := saramaJoin(ctx, group, topic)
	second := saramaJoin(ctx, group, topic)
	both := func(sizes ...int) func() bool {
		return func() bool {
			got := []int{len(first.partitions()), len(second.partitions())}
			slices.Sort(got)
			return slices.Equal(got, sizes)
		}
	}
	eventually(ctx, "two members share", both(3, 3))
	members := &franzMembers{topic: topic, group: group}
	members.join(franzConsumer(kgo.StickyBalancer())...)
	members.settle(ctx, 2)
	eventually(ctx, "three members share", both(2, 2))
	equal(typeOf(ctx, group), "consumer", "type of the group")
	more := numbered("b", 60)
	saramaSendValues(ctx, topic, 6, more)
	expected = append(expected, more...)
	read := func() []string {
		members.Lock()
		defer members.Unlock()
		all := slices.Clone(members.values)
		for _, member := range []*saramaMember{first, second} {
			member.Lock()
			all = append(all, member.values...)
			member.Unlock()
		}
		return all
	}
	eventually(ctx, "every record read", func() bool { return len(read()) >= len(expected) })
	first.leave()
	second.leave()
	members.settle(ctx, 6)
	members.leave(0)
	members.polling.Wait()
	got := read()
	sort.Strings(got)
	sort.Strings(expected)
	equal(got, expected, "records read by the group")
	admin := must1(sarama.NewClusterAdmin([]string{bootstrap}, saramaConfig()))
	defer admin.Close()
	all := map[string][]int32{topic: {0, 1, 2, 3, 4, 5}}
	offsets := must1(admin.ListConsumerGroupOffsets(group, all))
	for partition := range int32(6) {
		equal(offsets.GetBlock(topic, partition).Offset, 20, "committed")
	}
}
