// Starts the Kafka container of Testcontainers for Go on the image named in the environment, and
// tries it out with franz-go: topics, records, a group. One line of JSON a mode.
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
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const limit = 30 * time.Second

var values = []string{"eins", "zwei", "drei"}

type outcome struct {
	Mode    string  `json:"mode"`
	Client  string  `json:"client"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error"`
}

func tryOut(container *kafka.KafkaContainer) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	client, err := newClient(ctx, container)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := createTopic(ctx, client, "orders", 3); err != nil {
		return err
	}
	for _, value := range values {
		record := &kgo.Record{
			Topic: "words", Key: []byte("key"), Value: []byte(value),
			Headers: []kgo.RecordHeader{{Key: "length", Value: []byte{byte(len(value))}}},
		}
		if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
			return fmt.Errorf("producing %s: %w", value, err)
		}
	}
	return consume(ctx, client, func(record *kgo.Record) error {
		headers := record.Headers
		if string(record.Key) != "key" || len(headers) != 1 || headers[0].Key != "length" ||
			!slices.Equal(headers[0].Value, []byte{byte(len(record.Value))}) {
			return fmt.Errorf("%s came with key %s and headers %v", record.Value, record.Key, headers)
		}
		return nil
	})
}

func newClient(ctx context.Context, container *kafka.KafkaContainer) (*kgo.Client, error) {
	brokers, err := container.Brokers(ctx)
	if err != nil {
		return nil, err
	}
	return kgo.NewClient(
		kgo.SeedBrokers(brokers...), kgo.AllowAutoTopicCreation(),
		kgo.ConsumerGroup("readers"), kgo.ConsumeTopics("words"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		// The topic is made by the first produce; the consumer must not look for it a minute later.
		kgo.MetadataMinAge(100*time.Millisecond), kgo.MetadataMaxAge(time.Second),
	)
}

// createTopic also asks for the list of topics and of brokers.
func createTopic(ctx context.Context, client *kgo.Client, name string, partitions int32) error {
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, 1
	create := kmsg.NewPtrCreateTopicsRequest()
	create.TimeoutMillis = 10000
	create.Topics = append(create.Topics, topic)
	created, err := create.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	if err := kerr.ErrorForCode(created.Topics[0].ErrorCode); err != nil {
		return fmt.Errorf("creating %s: %w", name, err)
	}
	metadata, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
	if err != nil {
		return err
	}
	if len(metadata.Brokers) != 1 {
		return fmt.Errorf("a cluster of one node, not %d", len(metadata.Brokers))
	}
	for _, topic := range metadata.Topics {
		if topic.Topic != nil && *topic.Topic == name && len(topic.Partitions) == int(partitions) {
			return nil
		}
	}
	return fmt.Errorf("%s with %d partitions is not on the list of topics", name, partitions)
}

// consume reads all values as a group, commits, and asks for the group's offset.
func consume(ctx context.Context, client *kgo.Client, check func(*kgo.Record) error) error {
	var seen []string
	for len(seen) < len(values) {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("expected %v within %s, consumed %v", values, limit, seen)
		}
		for _, failure := range fetches.Errors() {
			fmt.Fprintln(os.Stderr, failure.Topic, failure.Err)
		}
		for _, record := range fetches.Records() {
			if err := check(record); err != nil {
				return err
			}
			seen = append(seen, string(record.Value))
		}
	}
	if !slices.Equal(seen, values) {
		return fmt.Errorf("expected %v, consumed %v", values, seen)
	}
	if err := client.CommitUncommittedOffsets(ctx); err != nil {
		return err
	}
	committed := client.CommittedOffsets()["words"][0].Offset
	if committed != int64(len(values)) {
		return fmt.Errorf("the group has committed %d", committed)
	}
	return nil
}

// tryOutFromBeside produces from a second container on the network, by the alias, what is then
// consumed from here.
func tryOutFromBeside(on *testcontainers.DockerNetwork) func(*kafka.KafkaContainer) error {
	return func(container *kafka.KafkaContainer) error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*limit)
		defer cancel()
		beside, err := testcontainers.Run(ctx, os.Getenv("APACHE_IMAGE"),
			network.WithNetwork([]string{"beside"}, on), testcontainers.WithCmd("sleep", "120"))
		defer func() { _ = testcontainers.TerminateContainer(beside) }()
		if err != nil {
			return err
		}
		produce := "printf '%s\\n' " + strings.Join(values, " ") +
			" | kafka-console-producer --bootstrap-server kafka:9092 --topic words"
		code, output, err := beside.Exec(ctx, []string{"bash", "-c", produce})
		if err != nil {
			return err
		}
		if code != 0 {
			text, _ := io.ReadAll(output)
			return fmt.Errorf("a producer on the network ended with %d: %s", code, text)
		}
		client, err := newClient(ctx, container)
		if err != nil {
			return err
		}
		defer client.Close()
		return consume(ctx, client, func(*kgo.Record) error { return nil })
	}
}

type check func(*kafka.KafkaContainer) error

func run(image string, try check, options ...testcontainers.ContainerCustomizer) (seconds float64, err error) {
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
	return seconds, try(container)
}

func report(mode, image string, try check, options ...testcontainers.ContainerCustomizer) {
	if without := os.Getenv("WITHOUT"); without != "" && strings.Contains(mode, without) {
		return
	}
	seconds, err := run(image, try, options...)
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
	report("kafka.Run", image, tryOut)
	report("kafka.Run, with a cluster id", image, tryOut, kafka.WithClusterID("MkU3OEVBNTcwNTJENDM2Qk"))
	on, err := network.New(context.Background())
	if err != nil {
		panic(err)
	}
	report("kafka.Run, on a network", image, tryOutFromBeside(on), network.WithNetwork([]string{"kafka"}, on))
	if err := on.Remove(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	fmt.Println("end go")
}
