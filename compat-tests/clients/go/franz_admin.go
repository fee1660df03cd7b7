package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func franzAdmin() {
	check("franz_topics_are_created_described_and_deleted", 60, franzTopics)
	check("franz_wrong_topics_are_refused", 60, franzWrongTopics)
	check("franz_configs_are_described_and_altered", 60, franzConfigs)
	check("franz_records_are_deleted_and_offsets_listed", 60, franzOffsets)
	check("franz_groups_are_listed_described_and_deleted", 60, franzGroups)
	check("franz_the_broker_advertises_its_versions", 60, franzVersions)
}

func text(value string) *string {
	return &value
}

// is panics unless the error is exactly this one.
func is(err error, expected error) {
	equal(errors.Is(err, expected), true, fmt.Sprintf("%v instead of %v", err, expected))
}

func franzTopics(ctx context.Context) {
	admin := kadm.NewClient(franz())
	defer admin.Close()
	metadata := must1(admin.BrokerMetadata(ctx))
	equal(len(metadata.Brokers), 1, "brokers")
	node := metadata.Brokers[0].NodeID
	equal(metadata.Controller, node, "controller")
	topic := franzCreate(ctx, "fa-topic", 2)
	must1(admin.CreatePartitions(ctx, 1, topic))
	eventually(ctx, "three partitions", func() bool {
		listed := must1(admin.ListTopics(ctx, topic))
		return len(listed[topic].Partitions) == 3
	})
	for _, partition := range must1(admin.ListTopics(ctx, topic))[topic].Partitions.Sorted() {
		equal(partition.Leader, node, "leader")
		equal(partition.Replicas, []int32{node}, "replicas")
		equal(partition.ISR, []int32{node}, "isr")
	}
	deleted := must1(admin.DeleteTopics(ctx, topic))
	must(deleted[topic].Err)
	eventually(ctx, "topic gone", func() bool {
		return !must1(admin.ListTopics(ctx)).Has(topic)
	})
	is(must1(admin.DeleteTopics(ctx, topic))[topic].Err, kerr.UnknownTopicOrPartition)
}

func franzWrongTopics(ctx context.Context) {
	admin := kadm.NewClient(franz())
	defer admin.Close()
	topic := franzCreate(ctx, "fa-exists", 2)
	create := func(partitions int32, replicas int16, configs map[string]*string, name string) error {
		_, err := admin.CreateTopic(ctx, partitions, replicas, configs, name)
		return err
	}
	is(create(1, 1, nil, topic), kerr.TopicAlreadyExists)
	is(create(1, 1, nil, "no/slashes"), kerr.InvalidTopicException)
	is(create(0, 1, nil, unique("fa-zero")), kerr.InvalidPartitions)
	is(create(1, 2, nil, unique("fa-two")), kerr.InvalidReplicationFactor)
	banana := map[string]*string{"retention.ms": text("banana")}
	is(create(1, 1, banana, unique("fa-banana")), kerr.InvalidConfig)
	shrunk := must1(admin.UpdatePartitions(ctx, 1, topic))
	is(shrunk[topic].Err, kerr.InvalidPartitions)
}

func franzConfigs(ctx context.Context) {
	admin := kadm.NewClient(franz())
	defer admin.Close()
	topic := franzCreate(ctx, "fa-configs", 1, "retention.ms", "3600000")
	alter := func(name, value string) error {
		change := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: name, Value: text(value)}}
		response := must1(must1(admin.AlterTopicConfigs(ctx, change, topic)).On(topic, nil))
		return response.Err
	}
	must(alter("segment.ms", "60000"))
	is(alter("retention.ms", "banana"), kerr.InvalidConfig)
	is(alter("no.such.config", "1"), kerr.InvalidConfig)
	expected := map[string]string{
		"retention.ms": "3600000", "segment.ms": "60000", "cleanup.policy": "delete",
		"max.message.bytes": "1048588",
	}
	eventually(ctx, "configs as altered", func() bool {
		described := must1(must1(admin.DescribeTopicConfigs(ctx, topic)).On(topic, nil))
		must(described.Err)
		found := 0
		for _, config := range described.Configs {
			if expected[config.Key] != "" && expected[config.Key] == config.MaybeValue() {
				found++
			}
		}
		return found == len(expected)
	})
}

func franzOffsets(ctx context.Context) {
	admin := kadm.NewClient(franz())
	defer admin.Close()
	topic := franzCreate(ctx, "fa-offsets", 1)
	franzSendValues(ctx, topic, 1, []string{"a", "b", "c", "d"})
	offset := func(listed kadm.ListedOffsets, err error) int64 {
		must(err)
		found, _ := listed.Lookup(topic, 0)
		must(found.Err)
		return found.Offset
	}
	equal(offset(admin.ListStartOffsets(ctx, topic)), 0, "start")
	equal(offset(admin.ListEndOffsets(ctx, topic)), 4, "end")
	equal(offset(admin.ListOffsetsAfterMilli(ctx, startMs, topic)), 0, "after a time")
	cut := kadm.Offsets{}
	cut.AddOffset(topic, 0, 3, -1)
	deleted := must1(admin.DeleteRecords(ctx, cut))
	low, _ := deleted.Lookup(topic, 0)
	must(low.Err)
	equal(low.LowWatermark, 3, "low watermark")
	equal(offset(admin.ListStartOffsets(ctx, topic)), 3, "start after the delete")
	beyond := kadm.Offsets{}
	beyond.AddOffset(topic, 0, 9, -1)
	low, _ = must1(admin.DeleteRecords(ctx, beyond)).Lookup(topic, 0)
	is(low.Err, kerr.OffsetOutOfRange)
}

func franzGroups(ctx context.Context) {
	admin := kadm.NewClient(franz())
	defer admin.Close()
	topic, group := franzCreate(ctx, "fa-groups", 1), unique("fa-groups")
	franzSendValues(ctx, topic, 1, []string{"a", "b"})
	member := franz(kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.ClientID("a-go-client"))
	records := franzTake(ctx, member, 2)
	must(member.CommitRecords(ctx, records...))
	equal(must1(admin.ListGroups(ctx))[group].State, "Stable", "state listed")
	described := must1(admin.DescribeGroups(ctx, group))[group]
	must(described.Err)
	equal(described.State, "Stable", "state")
	equal(len(described.Members), 1, "members")
	equal(described.Members[0].ClientID, "a-go-client", "client id")
	equal(described.Members[0].ClientHost, "/127.0.0.1", "host")
	equal(described.AssignedPartitions()[topic], map[int32]struct{}{0: {}}, "assignment")
	is(must1(admin.DeleteGroups(ctx, group))[group].Err, kerr.NonEmptyGroup)
	member.Close()
	lag := must1(admin.Lag(ctx, group))[group]
	equal(lag.State, "Empty", "state after the close")
	equal(lag.Lag[topic][0].Commit.At, 2, "committed")
	equal(lag.Lag[topic][0].Lag, 0, "lag")
	must(must1(admin.DeleteGroups(ctx, group))[group].Err)
	is(must1(admin.DeleteGroups(ctx, group))[group].Err, kerr.GroupIDNotFound)
}

func franzVersions(ctx context.Context) {
	admin := kadm.NewClient(franz())
	defer admin.Close()
	for _, broker := range must1(admin.ApiVersions(ctx)).Sorted() {
		must(broker.Err)
		lowest, highest, exists := broker.KeyVersions(0)
		equal([]any{lowest, highest, exists}, []any{int16(0), int16(13), true}, "Produce")
		lowest, highest, exists = broker.KeyVersions(1)
		equal([]any{lowest, highest, exists}, []any{int16(4), int16(18), true}, "Fetch")
	}
}
