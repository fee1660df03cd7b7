package main

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func transactions() {
	check("franz_commits_and_aborts_are_seen_exactly", 60, franzTransactions)
	check("franz_a_chain_of_two_steps_is_exactly_once", 90, franzChain)
	check("franz_a_second_producer_of_one_id_fences_the_first", 60, franzFenced)
	check("franz_transactions_and_producers_are_described", 60, franzDescribed)
	check("sarama_commits_and_aborts_are_seen_exactly", 60, saramaTransactions)
	check("sarama_offsets_are_committed_in_transactions", 60, saramaOffsets)
}

// franzAll reads every partition from its start to what its end is at this isolation level.
func franzAll(
	ctx context.Context, level kgo.IsolationLevel, topic string, partitions int,
) [][]*kgo.Record {
	client := franz(kgo.FetchIsolationLevel(level), kgo.ConsumeTopics(topic),
		kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer client.Close()
	admin := kadm.NewClient(client)
	list := admin.ListEndOffsets
	if level == kgo.ReadCommitted() {
		list = admin.ListCommittedOffsets
	}
	ends := must1(list(ctx, topic))
	must(ends.Error())
	// Before the first record of a partition was read, its next offset is 0.
	next := make([]int64, partitions)
	records := make([][]*kgo.Record, partitions)
	finished := func() bool {
		for partition := range partitions {
			end, _ := ends.Lookup(topic, int32(partition))
			if next[partition] < end.Offset {
				return false
			}
		}
		return true
	}
	for !finished() {
		fetches := client.PollFetches(ctx)
		must(fetches.Err())
		for _, record := range fetches.Records() {
			next[record.Partition] = record.Offset + 1
			if !record.Attrs.IsControl() {
				records[record.Partition] = append(records[record.Partition], record)
			}
		}
	}
	return records
}

func franzValues(
	ctx context.Context, level kgo.IsolationLevel, topic string, partitions int,
) [][]string {
	values := make([][]string, partitions)
	for partition, records := range franzAll(ctx, level, topic, partitions) {
		values[partition] = []string{}
		for _, record := range records {
			values[partition] = append(values[partition], string(record.Value))
		}
	}
	return values
}

func named(prefix string, count int) []string {
	values := []string{}
	for n := range count {
		values = append(values, fmt.Sprint(prefix, n))
	}
	return values
}

func franzTransactional(id string) *kgo.Client {
	return franz(kgo.TransactionalID(id), kgo.RecordPartitioner(kgo.ManualPartitioner()))
}

func franzProduce(
	ctx context.Context, client *kgo.Client, topic string, partition int32, values []string,
) error {
	records := []*kgo.Record{}
	for _, value := range values {
		records = append(records, &kgo.Record{
			Topic: topic, Partition: partition, Value: []byte(value),
		})
	}
	return client.ProduceSync(ctx, records...).FirstErr()
}

func franzTransactions(ctx context.Context) {
	topic := franzCreate(ctx, "ft-seen", 2)
	client := franzTransactional(unique("ft-seen"))
	defer client.Close()
	committed, all := []string{}, []string{}
	for n := range 9 {
		must(client.BeginTransaction())
		values := named(fmt.Sprintf("%d.", n), 3)
		must(franzProduce(ctx, client, topic, 0, values))
		all = append(all, values...)
		if n%3 == 1 {
			must(client.EndTransaction(ctx, kgo.TryAbort))
			continue
		}
		must(franzProduce(ctx, client, topic, 1, values))
		committed = append(committed, values...)
		must(client.EndTransaction(ctx, kgo.TryCommit))
	}
	must(client.BeginTransaction())
	must(franzProduce(ctx, client, topic, 0, []string{"open"}))
	equal(franzValues(ctx, kgo.ReadCommitted(), topic, 2), [][]string{committed, committed}, "committed")
	equal(franzValues(ctx, kgo.ReadUncommitted(), topic, 2)[0], append(all, "open"), "everything")
	must(client.EndTransaction(ctx, kgo.TryAbort))
	equal(franzValues(ctx, kgo.ReadCommitted(), topic, 2), [][]string{committed, committed}, "committed")
}

// franzStep reads one topic and writes what it read, with a mark, into another: exactly once. Every
// fourth of its transactions is aborted.
func franzStep(ctx context.Context, from, to, mark string, done func() bool) {
	group := unique("ft-" + mark)
	session := must1(kgo.NewGroupTransactSession(
		kgo.SeedBrokers(bootstrap), kgo.FetchMaxWait(50*time.Millisecond),
		kgo.TransactionalID(group), kgo.ConsumerGroup(group), kgo.ConsumeTopics(from),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	))
	defer session.Close()
	for ended := 0; !done(); {
		poll, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		records := session.PollRecords(poll, 20).Records()
		cancel()
		if len(records) == 0 {
			continue
		}
		must(session.Begin())
		var written kgo.FirstErrPromise
		for _, record := range records {
			session.Produce(ctx, &kgo.Record{
				Topic: to, Partition: record.Partition, Value: append(record.Value, mark...),
			}, written.Promise())
		}
		// What is aborted has reached the broker, too.
		must(session.Client().Flush(ctx))
		must(written.Err())
		ended++
		commit := kgo.TransactionEndTry(ended%4 != 3)
		committed := must1(session.End(ctx, commit))
		equal(committed, bool(commit), "committed")
	}
}

func franzChain(ctx context.Context) {
	partitions, count := 2, 240
	from := franzCreate(ctx, "ft-chain-a", int32(partitions))
	between := franzCreate(ctx, "ft-chain-b", int32(partitions))
	to := franzCreate(ctx, "ft-chain-c", int32(partitions))
	franzSendValues(ctx, from, partitions, named("v", count))
	finished := make(chan struct{})
	failed := make(chan any, 2)
	step := func(from, to, mark string) {
		defer func() { failed <- recover() }()
		franzStep(ctx, from, to, mark, func() bool {
			select {
			case <-finished:
				return true
			default:
				return ctx.Err() != nil
			}
		})
	}
	go step(from, between, "!")
	go step(between, to, "?")
	eventually(ctx, "all at the end of the chain", func() bool {
		seen := 0
		for _, values := range franzValues(ctx, kgo.ReadCommitted(), to, partitions) {
			seen += len(values)
		}
		return seen >= count
	})
	close(finished)
	equal([]any{<-failed, <-failed}, []any{nil, nil}, "failures of the steps")
	for partition := range partitions {
		one, two := []string{}, []string{}
		for n := partition; n < count; n += partitions {
			one = append(one, fmt.Sprintf("v%d!", n))
			two = append(two, fmt.Sprintf("v%d!?", n))
		}
		equal(franzValues(ctx, kgo.ReadCommitted(), between, partitions)[partition], one, "between")
		equal(franzValues(ctx, kgo.ReadCommitted(), to, partitions)[partition], two, "output")
	}
	all := 0
	for _, values := range franzValues(ctx, kgo.ReadUncommitted(), to, partitions) {
		all += len(values)
	}
	equal(all > count, true, fmt.Sprintf("aborted output, too: %d of %d", all, count))
}

func franzFenced(ctx context.Context) {
	topic, id := franzCreate(ctx, "ft-fenced", 1), unique("ft-fenced")
	first := franzTransactional(id)
	defer first.Close()
	must(first.BeginTransaction())
	must(franzProduce(ctx, first, topic, 0, []string{"first"}))
	// While the transaction of the first is being aborted the client gives up at once.
	var second *kgo.Client
	eventually(ctx, "the second is initialised", func() bool {
		second = franzTransactional(id)
		_, _, err := second.ProducerID(ctx)
		if errors.Is(err, kerr.ConcurrentTransactions) {
			second.Close()
			return false
		}
		must(err)
		return true
	})
	defer second.Close()
	must(second.BeginTransaction())
	must(franzProduce(ctx, second, topic, 0, []string{"second"}))
	err := franzProduce(ctx, first, topic, 0, []string{"zombie"})
	equal(errors.Is(err, kerr.InvalidProducerEpoch), true, fmt.Sprintf("error %v", err))
	equal(first.EndTransaction(ctx, kgo.TryCommit) != nil, true, "the first cannot commit")
	must(second.EndTransaction(ctx, kgo.TryCommit))
	equal(franzValues(ctx, kgo.ReadCommitted(), topic, 1), [][]string{{"second"}}, "committed")
	equal(franzValues(ctx, kgo.ReadUncommitted(), topic, 1), [][]string{{"first", "second"}}, "all")
}

func franzDescribed(ctx context.Context) {
	topic, id := franzCreate(ctx, "ft-described", 1), unique("ft-described")
	client := franzTransactional(id)
	defer client.Close()
	admin := kadm.NewClient(client)
	must(client.BeginTransaction())
	must(franzProduce(ctx, client, topic, 0, []string{"a", "b"}))
	describe := func() kadm.DescribedTransaction {
		described := must1(must1(admin.DescribeTransactions(ctx, id)).On(id, nil))
		must(described.Err)
		return described
	}
	open := describe()
	equal(open.State, "Ongoing", "state")
	equal(open.Topics.Lookup(topic, 0), true, "partition in it")
	states := kadm.TopicsSet{}
	states.Add(topic, 0)
	producers := must1(admin.DescribeProducers(ctx, states))
	sorted := producers.SortedProducers()
	equal(len(sorted), 1, "producers")
	equal(sorted[0].ProducerID, open.ProducerID, "producer id")
	equal(sorted[0].ProducerEpoch, open.ProducerEpoch, "epoch")
	equal(sorted[0].LastSequence, 1, "sequence")
	equal(sorted[0].CurrentTxnStartOffset, 0, "start")
	listed := must1(admin.ListTransactions(ctx, []int64{open.ProducerID}, []string{"Ongoing"}))
	equal(listed.TransactionalIDs(), []string{id}, "listed")
	must(client.EndTransaction(ctx, kgo.TryCommit))
	eventually(ctx, "completed", func() bool { return describe().State == "CompleteCommit" })
}

func saramaTransactional(id string) sarama.SyncProducer {
	config := saramaConfig()
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Transaction.ID = id
	config.Net.MaxOpenRequests = 1
	return must1(sarama.NewSyncProducer([]string{bootstrap}, config))
}

func saramaProduce(producer sarama.SyncProducer, topic string, values []string) {
	messages := []*sarama.ProducerMessage{}
	for _, value := range values {
		messages = append(messages, &sarama.ProducerMessage{
			Topic: topic, Value: sarama.StringEncoder(value),
		})
	}
	must(producer.SendMessages(messages))
}

// saramaSeen reads records of partition 0 at this isolation level, up to the one of this value.
func saramaSeen(
	ctx context.Context, level sarama.IsolationLevel, topic, last string,
) []string {
	config := saramaConfig()
	config.Consumer.IsolationLevel = level
	consumer := must1(sarama.NewConsumer([]string{bootstrap}, config))
	defer consumer.Close()
	partition := must1(consumer.ConsumePartition(topic, 0, sarama.OffsetOldest))
	defer partition.Close()
	values := []string{}
	for {
		select {
		case message := <-partition.Messages():
			values = append(values, string(message.Value))
			if string(message.Value) == last {
				return values
			}
		case <-ctx.Done():
			panic(fmt.Sprintf("never %s after %v", last, values))
		}
	}
}

func saramaTransactions(ctx context.Context) {
	topic := saramaCreate(ctx, "st-seen", 1, nil)
	producer := saramaTransactional(unique("st-seen"))
	defer producer.Close()
	committed, all := []string{}, []string{}
	for n := range 8 {
		must(producer.BeginTxn())
		values := named(fmt.Sprintf("%d.", n), 3)
		saramaProduce(producer, topic, values)
		all = append(all, values...)
		if n%3 == 1 {
			must(producer.AbortTxn())
			continue
		}
		must(producer.CommitTxn())
		committed = append(committed, values...)
	}
	equal(all[len(all)-1], "7.2", "the last, which is aborted")
	must(producer.BeginTxn())
	saramaProduce(producer, topic, []string{"end"})
	must(producer.CommitTxn())
	equal(saramaSeen(ctx, sarama.ReadCommitted, topic, "end"), append(committed, "end"), "committed")
	equal(saramaSeen(ctx, sarama.ReadUncommitted, topic, "end"), append(all, "end"), "everything")
}

func saramaOffsets(ctx context.Context) {
	topic, group := saramaCreate(ctx, "st-offsets", 1, nil), unique("st-offsets")
	producer := saramaTransactional(group)
	defer producer.Close()
	admin := must1(sarama.NewClusterAdmin([]string{bootstrap}, saramaConfig()))
	defer admin.Close()
	expected := int64(-1)
	for offset := int64(1); offset <= 4; offset++ {
		must(producer.BeginTxn())
		note := fmt.Sprint("at ", offset)
		saramaProduce(producer, topic, []string{note})
		must(producer.AddOffsetsToTxn(map[string][]*sarama.PartitionOffsetMetadata{
			topic: {{Partition: 0, Offset: offset, LeaderEpoch: -1, Metadata: &note}},
		}, group))
		if offset%2 == 0 {
			must(producer.AbortTxn())
		} else {
			must(producer.CommitTxn())
			expected = offset
		}
		// Upstream may answer the end of a transaction before its markers are written.
		eventually(ctx, note, func() bool {
			fetched := must1(admin.ListConsumerGroupOffsets(group, map[string][]int32{topic: {0}}))
			return fetched.GetBlock(topic, 0).Offset == expected
		})
	}
	seen := saramaSeen(ctx, sarama.ReadCommitted, topic, "at 3")
	sort.Strings(seen)
	equal(strings.Join(seen, ", "), "at 1, at 3", "committed")
}
