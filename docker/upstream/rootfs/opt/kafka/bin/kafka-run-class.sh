#!/usr/bin/env bash
# Runs a class of upstream's jars with the variables that upstream's start scripts know.
set -eu

# One order of the jars, always the same: the class archives hold only for it.
classpath=$(printf '%s:' /opt/kafka/libs/*.jar)
classpath=${classpath%:}${CLASSPATH:+:$CLASSPATH}
performance=${KAFKA_JVM_PERFORMANCE_OPTS:-}
case " $performance" in
    *Use*GC*) ;;
    *) performance="-server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true $performance" ;;
esac
log4j=${KAFKA_LOG4J_OPTS:--Dlog4j2.configurationFile=/etc/kafka/docker/tools-log4j2.yaml}
# Each variable holds several options.
# shellcheck disable=SC2086
exec java ${KAFKA_HEAP_OPTS:--Xmx256M} $performance ${KAFKA_JMX_OPTS:-} $log4j \
    ${KAFKA_OPTS:-} -cp "$classpath" "$@"
