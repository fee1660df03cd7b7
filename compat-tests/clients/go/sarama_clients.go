package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

var saramaCodecs = map[string]sarama.CompressionCodec{
	"none":   sarama.CompressionNone,
	"gzip":   sarama.CompressionGZIP,
	"snappy": sarama.CompressionSnappy,
	"lz4":    sarama.CompressionLZ4,
	"zstd":   sarama.CompressionZSTD,
}

func saramaClients() {
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		for _, acks := range []sarama.RequiredAcks{0, 1, -1} {
			name := strings.Replace(fmt.Sprint(acks), "-1", "all", 1)
			check("sarama_round_trip_"+codec+"_acks_"+name, 60, func(ctx context.Context) {
				saramaRoundTrip(ctx, codec, acks)
			})
		}
	}
	check("sarama_idempotent_producer_keeps_order", 60, saramaIdempotent)
	check("sarama_a_topic_is_created_on_first_produce", 60, saramaAutoCreate)
	check("sarama_errors_are_told", 60, saramaErrors)
	check("sarama_two_members_share_partitions_and_resume_from_commit", 90, saramaGroup)
	check("sarama_admin_creates_describes_alters_and_deletes", 60, saramaAdmin)
}

func saramaConfig() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.Return.Successes = true
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Consumer.MaxWaitTime = 100 * time.Millisecond
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	return config
}

// saramaCreate creates a topic and waits until it is served: upstream may answer before.
func saramaCreate(
	ctx context.Context, name string, partitions int32, configs map[string]*string,
) string {
	topic := unique(name)
	admin := must1(sarama.NewClusterAdmin([]string{bootstrap}, saramaConfig()))
	defer admin.Close()
	must(admin.CreateTopic(topic, &sarama.TopicDetail{
		NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: configs,
	}, false))
	client := must1(sarama.NewClient([]string{bootstrap}, saramaConfig()))
	defer client.Close()
	eventually(ctx, "partitions served", func() bool {
		for partition := range partitions {
			if _, err := client.GetOffset(topic, partition, sarama.OffsetNewest); err != nil {
				return false
			}
		}
		return true
	})
	return topic
}

// saramaSend sends the messages with an asynchronous producer and returns the offset of each.
func saramaSend(
	ctx context.Context, config *sarama.Config, messages []*sarama.ProducerMessage,
) ([]int64, error) {
	producer := must1(sarama.NewAsyncProducer([]string{bootstrap}, config))
	defer producer.AsyncClose()
	go func() {
		for _, message := range messages {
			producer.Input() <- message
		}
	}()
	for range messages {
		select {
		case <-producer.Successes():
		case failed := <-producer.Errors():
			return nil, failed.Err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	offsets := []int64{}
	for _, message := range messages {
		offsets = append(offsets, message.Offset)
	}
	return offsets, nil
}

func saramaSendValues(ctx context.Context, topic string, partitions int, values []string) {
	messages := []*sarama.ProducerMessage{}
	for n, value := range values {
		messages = append(messages, &sarama.ProducerMessage{
			Topic: topic, Partition: int32(n % partitions), Value: sarama.StringEncoder(value),
		})
	}
	must1(saramaSend(ctx, saramaConfig(), messages))
}

// saramaRead reads exactly count messages of partition 0.
func saramaRead(ctx context.Context, topic string, count int) []*sarama.ConsumerMessage {
	client := must1(sarama.NewClient([]string{bootstrap}, saramaConfig()))
	defer client.Close()
	consumer := must1(sarama.NewConsumerFromClient(client))
	defer consumer.Close()
	messages := []*sarama.ConsumerMessage{}
	eventually(ctx, "records in the log", func() bool {
		return must1(client.GetOffset(topic, 0, sarama.OffsetNewest)) >= int64(count)
	})
	equal(must1(client.GetOffset(topic, 0, sarama.OffsetNewest)), int64(count), "end offset")
	partition := must1(consumer.ConsumePartition(topic, 0, sarama.OffsetOldest))
	defer partition.Close()
	for len(messages) < count {
		select {
		case message := <-partition.Messages():
			messages = append(messages, message)
		case <-ctx.Done():
			panic(fmt.Sprintf("only %d of %d records", len(messages), count))
		}
	}
	return messages
}

func saramaRoundTrip(ctx context.Context, codec string, acks sarama.RequiredAcks) {
	topic := saramaCreate(ctx, fmt.Sprintf("s-%s-%d", codec, acks), 1, nil)
	config := saramaConfig()
	config.Producer.Compression = saramaCodecs[codec]
	config.Producer.RequiredAcks = acks
	config.Producer.Flush.Frequency = 5 * time.Millisecond
	sent := []*sarama.ProducerMessage{}
	for n := range 200 {
		message := &sarama.ProducerMessage{
			Topic:     topic,
			Timestamp: time.UnixMilli(startMs + int64(n)),
			Headers: []sarama.RecordHeader{
				{Key: []byte("trace"), Value: []byte{0, 255}},
				{Key: []byte("trace"), Value: []byte("again")},
			},
		}
		if n%5 != 0 {
			message.Key = sarama.StringEncoder(fmt.Sprintf("key %d", n))
		}
		if n%7 != 0 {
			value := fmt.Sprintf("value %d %s", n, strings.Repeat("ab", n%90))
			message.Value = sarama.StringEncoder(value)
		}
		sent = append(sent, message)
	}
	offsets := must1(saramaSend(ctx, config, sent))
	if acks != sarama.NoResponse {
		equal(offsets, numbers(0, 200), "offsets answered")
	}
	for n, message := range saramaRead(ctx, topic, 200) {
		equal(message.Offset, int64(n), "offset")
		equal(message.Key, encoded(sent[n].Key), "key")
		equal(message.Value, encoded(sent[n].Value), "value")
		equal(message.Timestamp.UnixMilli(), startMs+int64(n), "timestamp")
		equal(len(message.Headers), 2, "headers")
		for h, header := range message.Headers {
			equal(*header, sent[n].Headers[h], "header")
		}
	}
}

func encoded(encoder sarama.Encoder) []byte {
	if encoder == nil {
		return nil
	}
	return must1(encoder.Encode())
}

func saramaIdempotent(ctx context.Context) {
	topic := saramaCreate(ctx, "s-idempotent", 1, nil)
	config := saramaConfig()
	config.Producer.Idempotent = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Net.MaxOpenRequests = 1
	config.Producer.Flush.MaxMessages = 20
	messages := []*sarama.ProducerMessage{}
	for n := range 1000 {
		messages = append(messages, &sarama.ProducerMessage{
			Topic: topic, Value: sarama.StringEncoder(fmt.Sprint(n)),
		})
	}
	equal(must1(saramaSend(ctx, config, messages)), numbers(0, 1000), "offsets answered")
	for n, message := range saramaRead(ctx, topic, 1000) {
		equal(string(message.Value), fmt.Sprint(n), "value")
	}
}

func saramaAutoCreate(ctx context.Context) {
	topic := unique("s-auto")
	saramaSendValues(ctx, topic, 1, []string{"first"})
	equal(string(saramaRead(ctx, topic, 1)[0].Value), "first", "value")
}

func saramaErrors(ctx context.Context) {
	limit := "1000"
	topic := saramaCreate(ctx, "s-errors", 1, map[string]*string{"max.message.bytes": &limit})
	large := &sarama.ProducerMessage{
		Topic: topic, Value: sarama.StringEncoder(strings.Repeat("xyz", 700)),
	}
	_, err := saramaSend(ctx, saramaConfig(), []*sarama.ProducerMessage{large})
	equal(err, error(sarama.ErrMessageSizeTooLarge), "a record too large")
	consumer := must1(sarama.NewConsumer([]string{bootstrap}, saramaConfig()))
	defer consumer.Close()
	_, err = consumer.ConsumePartition(topic, 0, 50)
	equal(err, error(sarama.ErrOffsetOutOfRange), "an offset out of range")
	admin := must1(sarama.NewClusterAdmin([]string{bootstrap}, saramaConfig()))
	defer admin.Close()
	detail := &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: 1}
	saramaIs(admin.CreateTopic(topic, detail, false), sarama.ErrTopicAlreadyExists)
	detail.ConfigEntries = map[string]*string{"retention.ms": text("banana")}
	saramaIs(admin.CreateTopic(unique("s-banana"), detail, false), sarama.ErrInvalidConfig)
	saramaIs(admin.CreatePartitions(topic, 1, nil, false), sarama.ErrInvalidPartitions)
	saramaIs(admin.DeleteTopic(unique("s-nowhere")), sarama.ErrUnknownTopicOrPartition)
}

func saramaIs(err error, expected sarama.KError) {
	equal(errors.Is(err, expected), true, fmt.Sprintf("%v instead of %v", err, expected))
}

// saramaMember is a handler of one group member that notes what it owns and what it read.
type saramaMember struct {
	sync.Mutex
	owned  []int32
	values []string
	client sarama.ConsumerGroup
	stop   context.CancelFunc
	done   chan struct{}
}

func (m *saramaMember) Setup(session sarama.ConsumerGroupSession) error {
	m.Lock()
	defer m.Unlock()
	for _, partitions := range session.Claims() {
		m.owned = append([]int32{}, partitions...)
	}
	return nil
}

func (m *saramaMember) Cleanup(session sarama.ConsumerGroupSession) error {
	session.Commit()
	m.Lock()
	defer m.Unlock()
	m.owned = nil
	return nil
}

func (m *saramaMember) ConsumeClaim(
	session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim,
) error {
	for message := range claim.Messages() {
		m.Lock()
		m.values = append(m.values, string(message.Value))
		m.Unlock()
		session.MarkMessage(message, "")
	}
	return nil
}

func saramaJoin(ctx context.Context, group, topic string) *saramaMember {
	config := saramaConfig()
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	config.Consumer.Offsets.AutoCommit.Enable = false
	member := &saramaMember{done: make(chan struct{})}
	member.client = must1(sarama.NewConsumerGroup([]string{bootstrap}, group, config))
	var running context.Context
	running, member.stop = context.WithCancel(ctx)
	go func() {
		defer close(member.done)
		for running.Err() == nil {
			if member.client.Consume(running, []string{topic}, member) != nil {
				return
			}
		}
	}()
	return member
}

func (m *saramaMember) leave() {
	m.stop()
	<-m.done
	must(m.client.Close())
}

func (m *saramaMember) partitions() []int32 {
	m.Lock()
	defer m.Unlock()
	return slices.Clone(m.owned)
}

func saramaGroup(ctx context.Context) {
	topic, group := saramaCreate(ctx, "s-group", 4, nil), unique("s-group")
	expected := []string{}
	for n := range 40 {
		expected = append(expected, fmt.Sprintf("a%02d", n))
	}
	saramaSendValues(ctx, topic, 4, expected)
	first := saramaJoin(ctx, group, topic)
	eventually(ctx, "one member owns all", func() bool { return len(first.partitions()) == 4 })
	second := saramaJoin(ctx, group, topic)
	eventually(ctx, "two members share", func() bool {
		one, two := first.partitions(), second.partitions()
		every := append(one, two...)
		slices.Sort(every)
		return len(two) == 2 && slices.Equal(every, []int32{0, 1, 2, 3})
	})
	first.leave()
	eventually(ctx, "one takes over", func() bool { return len(second.partitions()) == 4 })
	more := []string{}
	for n := range 40 {
		more = append(more, fmt.Sprintf("b%02d", n))
	}
	saramaSendValues(ctx, topic, 4, more)
	expected = append(expected, more...)
	read := func() []string {
		second.Lock()
		defer second.Unlock()
		return append(slices.Clone(first.values), second.values...)
	}
	eventually(ctx, "every record read", func() bool { return len(read()) >= len(expected) })
	second.leave()
	got := read()
	sort.Strings(got)
	equal(got, expected, "records read by the group")
	admin := must1(sarama.NewClusterAdmin([]string{bootstrap}, saramaConfig()))
	defer admin.Close()
	all := map[string][]int32{topic: {0, 1, 2, 3}}
	offsets := must1(admin.ListConsumerGroupOffsets(group, all))
	for partition := range int32(4) {
		equal(offsets.GetBlock(topic, partition).Offset, 20, "committed")
	}
}

func saramaAdmin(ctx context.Context) {
	topic := saramaCreate(ctx, "s-admin", 2, map[string]*string{"retention.ms": text("3600000")})
	admin := must1(sarama.NewClusterAdmin([]string{bootstrap}, saramaConfig()))
	defer admin.Close()
	must(admin.CreatePartitions(topic, 3, nil, false))
	eventually(ctx, "three partitions", func() bool {
		described := must1(admin.DescribeTopics([]string{topic}))
		return len(described[0].Partitions) == 3
	})
	must(admin.IncrementalAlterConfig(sarama.TopicResource, topic,
		map[string]sarama.IncrementalAlterConfigsEntry{
			"segment.ms": {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: text("60000")},
		}, false))
	eventually(ctx, "configs as altered", func() bool {
		values := map[string]string{}
		resource := sarama.ConfigResource{Type: sarama.TopicResource, Name: topic}
		for _, entry := range must1(admin.DescribeConfig(resource)) {
			values[entry.Name] = entry.Value
		}
		return values["retention.ms"] == "3600000" && values["segment.ms"] == "60000" &&
			values["cleanup.policy"] == "delete"
	})
	saramaSendValues(ctx, topic, 1, []string{"a", "b", "c"})
	must(admin.DeleteRecords(topic, map[int32]int64{0: 2}))
	client := must1(sarama.NewClient([]string{bootstrap}, saramaConfig()))
	defer client.Close()
	equal(must1(client.GetOffset(topic, 0, sarama.OffsetOldest)), 2, "start after the delete")
	must(admin.DeleteTopic(topic))
	eventually(ctx, "topic gone", func() bool {
		_, listed := must1(admin.ListTopics())[topic]
		return !listed
	})
}
