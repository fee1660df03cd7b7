package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// startMs is old enough to be no other time, and young enough not to be deleted by retention.
var startMs = time.Now().UnixMilli() - 3_600_000

var franzCodecs = map[string]kgo.CompressionCodec{
	"none":   kgo.NoCompression(),
	"gzip":   kgo.GzipCompression(),
	"snappy": kgo.SnappyCompression(),
	"lz4":    kgo.Lz4Compression(),
	"zstd":   kgo.ZstdCompression(),
}

func franzClients() {
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		for _, acks := range []string{"0", "1", "all"} {
			check("franz_round_trip_"+codec+"_acks_"+acks, 60, func(ctx context.Context) {
				franzRoundTrip(ctx, codec, acks)
			})
		}
	}
	check("franz_idempotent_producer_keeps_order", 60, franzIdempotent)
	check("franz_a_topic_is_created_on_first_produce", 60, franzAutoCreate)
	check("franz_the_first_produce_after_a_create_never_fails", 60, franzFirstProduce)
	check("franz_a_record_too_large_is_refused", 60, franzTooLarge)
	check("franz_a_large_record_is_read_through_small_limits", 60, franzFetchLimits)
	check("franz_an_offset_out_of_range_is_told", 60, franzOutOfRange)
	check("franz_group_resumes_from_commit", 60, franzResume)
	check("franz_three_members_share_partitions_range", 90, func(ctx context.Context) {
		franzShare(ctx, "range", kgo.RangeBalancer())
	})
	check("franz_three_members_share_partitions_sticky", 90, func(ctx context.Context) {
		franzShare(ctx, "sticky", kgo.StickyBalancer())
	})
	check("franz_three_members_share_partitions_cooperative", 90, func(ctx context.Context) {
		franzShare(ctx, "cooperative", kgo.CooperativeStickyBalancer())
	})
	check("franz_a_static_member_comes_back_without_a_rebalance", 60, franzStatic)
}

func franz(options ...kgo.Opt) *kgo.Client {
	options = append([]kgo.Opt{
		kgo.SeedBrokers(bootstrap),
		kgo.FetchMaxWait(100 * time.Millisecond),
	}, options...)
	return must1(kgo.NewClient(options...))
}

// franzCreate creates a topic and waits until it is served: upstream may answer before.
func franzCreate(ctx context.Context, name string, partitions int32, configs ...string) string {
	topic := franzCreateNow(ctx, name, partitions, configs...)
	admin := kadm.NewClient(franz())
	defer admin.Close()
	eventually(ctx, "partitions served", func() bool {
		offsets, err := admin.ListEndOffsets(ctx, topic)
		return err == nil && offsets.Error() == nil && len(offsets[topic]) == int(partitions)
	})
	return topic
}

func franzCreateNow(ctx context.Context, name string, partitions int32, configs ...string) string {
	topic := unique(name)
	values := map[string]*string{}
	for n := 0; n < len(configs); n += 2 {
		values[configs[n]] = &configs[n+1]
	}
	admin := kadm.NewClient(franz())
	defer admin.Close()
	must1(admin.CreateTopic(ctx, partitions, 1, values, topic))
	return topic
}

// franzSend sends the records with one client and returns the offset of each.
func franzSend(ctx context.Context, records []*kgo.Record, options ...kgo.Opt) ([]int64, error) {
	options = append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	client := franz(options...)
	defer client.Close()
	offsets := []int64{}
	results := client.ProduceSync(ctx, records...)
	if err := results.FirstErr(); err != nil {
		return nil, err
	}
	// The results are in the order in which the records were acknowledged.
	for _, record := range records {
		offsets = append(offsets, record.Offset)
	}
	return offsets, nil
}

func franzSendValues(ctx context.Context, topic string, partitions int, values []string) {
	records := []*kgo.Record{}
	for n, value := range values {
		records = append(records, &kgo.Record{
			Topic: topic, Partition: int32(n % partitions), Value: []byte(value),
		})
	}
	must1(franzSend(ctx, records))
}

// franzTake polls exactly count records.
func franzTake(ctx context.Context, client *kgo.Client, count int) []*kgo.Record {
	records := []*kgo.Record{}
	for len(records) < count {
		fetches := client.PollFetches(ctx)
		must(fetches.Err())
		records = append(records, fetches.Records()...)
	}
	equal(len(records), count, "records")
	return records
}

func franzRead(ctx context.Context, topic string, count int) []*kgo.Record {
	client := franz(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		topic: {0: kgo.NewOffset().AtStart()},
	}))
	defer client.Close()
	records := franzTake(ctx, client, count)
	ends := must1(kadm.NewClient(client).ListEndOffsets(ctx, topic))
	end, _ := ends.Lookup(topic, 0)
	equal(end.Offset, records[count-1].Offset+1, "end of the partition")
	return records
}

func franzRoundTrip(ctx context.Context, codec, acks string) {
	topic := franzCreate(ctx, "f-"+codec+"-"+acks, 1)
	sent := []*kgo.Record{}
	for n := range 200 {
		record := &kgo.Record{
			Topic:     topic,
			Timestamp: time.UnixMilli(startMs + int64(n)),
			Key:       []byte(fmt.Sprintf("key %d", n)),
			Value:     []byte(fmt.Sprintf("value %d %s", n, strings.Repeat("ab", n%90))),
			Headers: []kgo.RecordHeader{
				{Key: "trace", Value: []byte{0, 255}},
				{Key: "trace", Value: []byte("again")},
				{Key: "null", Value: nil},
			},
		}
		if n%5 == 0 {
			record.Key = nil
		}
		if n%7 == 0 {
			record.Value = nil
		}
		sent = append(sent, record)
	}
	options := []kgo.Opt{
		kgo.ProducerBatchCompression(franzCodecs[codec]),
		kgo.ProducerLinger(5 * time.Millisecond),
	}
	switch acks {
	case "0":
		options = append(options, kgo.RequiredAcks(kgo.NoAck()), kgo.DisableIdempotentWrite())
	case "1":
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()), kgo.DisableIdempotentWrite())
	}
	offsets := must1(franzSend(ctx, sent, options...))
	if acks != "0" {
		equal(offsets, numbers(0, 200), "offsets answered")
	}
	for n, record := range franzRead(ctx, topic, 200) {
		equal(record.Offset, int64(n), "offset")
		equal(record.Key, sent[n].Key, "key")
		equal(record.Value, sent[n].Value, "value")
		equal(record.Headers, sent[n].Headers, "headers")
		equal(record.Timestamp.UnixMilli(), startMs+int64(n), "timestamp")
		equal(record.LeaderEpoch, 0, "leader epoch")
	}
}

func franzIdempotent(ctx context.Context) {
	topic := franzCreate(ctx, "f-idempotent", 1)
	records := []*kgo.Record{}
	for n := range 2000 {
		records = append(records, &kgo.Record{Topic: topic, Value: []byte(fmt.Sprint(n))})
	}
	offsets := must1(franzSend(ctx, records, kgo.ProducerBatchMaxBytes(1000)))
	equal(offsets, numbers(0, 2000), "offsets answered")
	for n, record := range franzRead(ctx, topic, 2000) {
		equal(string(record.Value), fmt.Sprint(n), "value")
	}
}

func franzAutoCreate(ctx context.Context) {
	topic := unique("f-auto")
	records := []*kgo.Record{{Topic: topic, Value: []byte("first")}}
	offsets := must1(franzSend(ctx, records, kgo.AllowAutoTopicCreation()))
	equal(offsets, []int64{0}, "offsets")
	equal(string(franzRead(ctx, topic, 1)[0].Value), "first", "value")
}

func franzFirstProduce(ctx context.Context) {
	for n := range 10 {
		topic := franzCreateNow(ctx, fmt.Sprintf("f-first-%d", n), 3)
		records := []*kgo.Record{
			{Topic: topic, Partition: 0, Value: []byte("a")},
			{Topic: topic, Partition: 1, Value: []byte("b")},
			{Topic: topic, Partition: 2, Value: []byte("c")},
		}
		equal(must1(franzSend(ctx, records)), []int64{0, 0, 0}, "offsets")
	}
}

func franzTooLarge(ctx context.Context) {
	topic := franzCreate(ctx, "f-large", 1, "max.message.bytes", "1000")
	large := []*kgo.Record{{Topic: topic, Value: []byte(strings.Repeat("xyz", 700))}}
	_, err := franzSend(ctx, large, kgo.ProducerBatchCompression(kgo.NoCompression()))
	equal(errors.Is(err, kerr.MessageTooLarge), true, fmt.Sprintf("error %v", err))
	small := []*kgo.Record{{Topic: topic, Value: []byte("fits")}}
	equal(must1(franzSend(ctx, small)), []int64{0}, "offsets")
}

func franzFetchLimits(ctx context.Context) {
	topic := franzCreate(ctx, "f-limits", 1)
	values := []string{}
	for n := range 4 {
		values = append(values, strings.Repeat(fmt.Sprint(n), 300_000))
	}
	franzSendValues(ctx, topic, 1, values)
	client := franz(kgo.ConsumeTopics(topic), kgo.FetchMaxBytes(1000),
		kgo.FetchMaxPartitionBytes(1000), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer client.Close()
	got := []string{}
	for _, record := range franzTake(ctx, client, 4) {
		got = append(got, string(record.Value))
	}
	equal(got, values, "values")
}

func franzOutOfRange(ctx context.Context) {
	topic := franzCreate(ctx, "f-range", 1)
	franzSendValues(ctx, topic, 1, []string{"a", "b"})
	client := franz(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(50)}}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
	)
	defer client.Close()
	err := client.PollFetches(ctx).Err()
	equal(errors.Is(err, kerr.OffsetOutOfRange), true, fmt.Sprintf("error %v", err))
}

func franzResume(ctx context.Context) {
	topic, group := franzCreate(ctx, "f-resume", 1), unique("f-resume")
	franzSendValues(ctx, topic, 1, []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"})
	options := []kgo.Opt{
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	}
	first := franz(options...)
	records := franzTake(ctx, first, 10)
	must(first.CommitRecords(ctx, records[3]))
	first.Close()
	second := franz(options...)
	defer second.Close()
	for n, record := range franzTake(ctx, second, 6) {
		equal(record.Offset, int64(4+n), "offset after the commit")
	}
}

// franzMembers are clients of one group; each is polled by a goroutine of its own and commits what
// it read before it gives partitions up.
type franzMembers struct {
	sync.Mutex
	topic   string
	group   string
	clients []*kgo.Client
	owned   []map[int32]bool
	revoked []int
	values  []string
	polling sync.WaitGroup
}

func (m *franzMembers) join(options ...kgo.Opt) int {
	m.Lock()
	number := len(m.clients)
	m.owned = append(m.owned, map[int32]bool{})
	m.revoked = append(m.revoked, 0)
	m.clients = append(m.clients, nil)
	m.Unlock()
	taken := func(ctx context.Context, client *kgo.Client, lost map[string][]int32) {
		_ = client.CommitUncommittedOffsets(ctx)
		m.Lock()
		defer m.Unlock()
		for _, partition := range lost[m.topic] {
			delete(m.owned[number], partition)
			m.revoked[number]++
		}
	}
	client := franz(append([]kgo.Opt{
		kgo.ConsumerGroup(m.group), kgo.ConsumeTopics(m.topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.HeartbeatInterval(300 * time.Millisecond), kgo.SessionTimeout(10 * time.Second),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, got map[string][]int32) {
			m.Lock()
			defer m.Unlock()
			for _, partition := range got[m.topic] {
				m.owned[number][partition] = true
			}
		}),
		kgo.OnPartitionsRevoked(taken), kgo.OnPartitionsLost(taken),
	}, options...)...)
	m.Lock()
	m.clients[number] = client
	m.Unlock()
	m.polling.Add(1)
	go m.poll(client)
	return number
}

func (m *franzMembers) poll(client *kgo.Client) {
	defer m.polling.Done()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		fetches := client.PollFetches(ctx)
		cancel()
		if fetches.IsClientClosed() {
			return
		}
		m.Lock()
		for _, record := range fetches.Records() {
			m.values = append(m.values, string(record.Value))
		}
		m.Unlock()
		client.AllowRebalance()
	}
}

// settle waits until members own that many partitions each, and every partition exactly once.
func (m *franzMembers) settle(ctx context.Context, sizes ...int) {
	eventually(ctx, fmt.Sprintf("assignment of %v", sizes), func() bool {
		m.Lock()
		defer m.Unlock()
		got, every, total := []int{}, map[int32]bool{}, 0
		for _, owned := range m.owned {
			got = append(got, len(owned))
			total += len(owned)
			for partition := range owned {
				every[partition] = true
			}
		}
		sort.Ints(got)
		return slices.Equal(got, sizes) && len(every) == total
	})
}

func (m *franzMembers) leave(number int) {
	m.clients[number].CloseAllowingRebalance()
	m.Lock()
	defer m.Unlock()
	m.owned[number] = map[int32]bool{}
}

func franzShare(ctx context.Context, name string, balancer kgo.GroupBalancer) {
	topic := franzCreate(ctx, "f-share-"+name, 6)
	expected := []string{}
	for n := range 60 {
		expected = append(expected, fmt.Sprintf("a%d", n))
	}
	franzSendValues(ctx, topic, 6, expected)
	members := &franzMembers{topic: topic, group: unique("f-share-" + name)}
	members.join(kgo.Balancers(balancer))
	members.settle(ctx, 6)
	members.join(kgo.Balancers(balancer))
	members.settle(ctx, 3, 3)
	members.join(kgo.Balancers(balancer))
	members.settle(ctx, 2, 2, 2)
	if name == "cooperative" {
		equal(members.revoked[0], 4, "partitions taken from the first member")
	} else {
		equal(members.revoked[0], 9, "partitions taken from the first member")
	}
	members.leave(1)
	members.settle(ctx, 0, 3, 3)
	more := []string{}
	for n := range 60 {
		more = append(more, fmt.Sprintf("b%d", n))
	}
	franzSendValues(ctx, topic, 6, more)
	expected = append(expected, more...)
	eventually(ctx, "every record read", func() bool {
		members.Lock()
		defer members.Unlock()
		return len(members.values) >= len(expected)
	})
	members.leave(0)
	members.leave(2)
	members.polling.Wait()
	sort.Strings(expected)
	sort.Strings(members.values)
	equal(members.values, expected, "records read by the group")
}

func franzStatic(ctx context.Context) {
	topic := franzCreate(ctx, "f-static", 4)
	members := &franzMembers{topic: topic, group: unique("f-static")}
	members.join(kgo.InstanceID("one"))
	members.join(kgo.InstanceID("two"))
	members.settle(ctx, 2, 2)
	members.Lock()
	revoked, before := members.revoked[0], maps.Clone(members.owned[1])
	members.Unlock()
	members.leave(1)
	members.join(kgo.InstanceID("two"))
	eventually(ctx, "the assignment it had", func() bool {
		members.Lock()
		defer members.Unlock()
		return len(members.owned[2]) == 2
	})
	members.Lock()
	for partition := range members.owned[2] {
		equal(before[partition], true, fmt.Sprintf("partition %d was its own", partition))
	}
	equal(members.revoked[0], revoked, "partitions taken from the member that stayed")
	members.Unlock()
	members.leave(0)
	members.leave(2)
}
