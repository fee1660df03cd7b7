"""The Python clients: confluent-kafka (librdkafka), aiokafka and kafka-python."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from harness import Part  # noqa: E402

import aiokafka_checks  # noqa: E402
import aiokafka_transactions  # noqa: E402
import confluent_admin  # noqa: E402
import confluent_clients  # noqa: E402
import confluent_transactions  # noqa: E402
import kafka_python_checks  # noqa: E402

part = Part("python")
for checks in [
    confluent_clients,
    confluent_admin,
    confluent_transactions,
    aiokafka_checks,
    aiokafka_transactions,
    kafka_python_checks,
]:
    checks.run(part)
part.end()
