#!/usr/bin/env bash
# kafka-server-start.sh FILE [--override NAME=VALUE]...: becomes the broker.
export KAFKA_HEAP_OPTS=${KAFKA_HEAP_OPTS:--Xmx1G -Xms1G}
if [ -z "${KAFKA_LOG4J_OPTS:-}" ]; then
    config=/opt/kafka/config/log4j2.yaml
    [ -e "$config" ] || config=/etc/kafka/docker/log4j2.yaml
    export KAFKA_LOG4J_OPTS=-Dlog4j2.configurationFile=$config
fi
exec /opt/kafka/bin/kafka-run-class.sh kafka.Kafka "$@"
