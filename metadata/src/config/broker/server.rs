//! The configs of the broker as such.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::super::def::config_table;
use super::super::ignored::{ASYNC_RUNTIME, LEVEL, ONE_NODE, PLUG_IN, SECURITY, UNSTABLE};
use super::super::valid::Valid;

config_table! {
    pub(super) const ROWS;

    /// The older name of node.id; where both are set they must agree.
    "broker.id" Int = "-1";
    /// The largest record batch a topic takes, unless the topic says otherwise.
    "message.max.bytes" Int = "1048588", at_least(0), cluster_wide;
    /// The threads that handle requests.
    "num.io.threads" Int = "8", at_least(1), cluster_wide, ignored(ASYNC_RUNTIME);
    /// The threads that move replicas between log directories.
    "num.replica.alter.log.dirs.threads" Int, ignored(ONE_NODE);
    /// The threads for background work.
    "background.threads" Int = "10", at_least(1), cluster_wide, ignored(ASYNC_RUNTIME);
    /// How long a request to another node may take.
    "request.timeout.ms" Int = "30000", ignored(ONE_NODE);
    /// How long a connection to another node may take to come up at first.
    "socket.connection.setup.timeout.ms" Long = "10000", ignored(ONE_NODE);
    /// How long a connection to another node may take to come up after failures.
    "socket.connection.setup.timeout.max.ms" Long = "30000", ignored(ONE_NODE);
    /// The plug-ins that fetch config values from elsewhere.
    "config.providers" List = "", any_list, cluster_wide, ignored(PLUG_IN);
    /// The class that decides who may do what.
    "authorizer.class.name" String = "", valid(Valid::NonNull), ignored(SECURITY);
    /// The listeners that open before the broker is ready.
    "early.start.listeners" List, any_list_or_null, ignored(ONE_NODE);
    /// The rack of this broker; replicas are spread over racks.
    "broker.rack" String;
    /// Hands leadership over before the broker stops.
    "controlled.shutdown.enable" Boolean = "true", ignored(ONE_NODE);
    /// Lets clients delete topics.
    "delete.topic.enable" Boolean = "true";
    /// The codec of stored batches: the producer's own, or one for all.
    "compression.type" String = "producer",
        one_of(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), cluster_wide;
    /// The level where the broker compresses with gzip.
    "compression.gzip.level" Int = "-1", valid(Valid::GzipLevel), cluster_wide, ignored(LEVEL);
    /// The level where the broker compresses with lz4.
    "compression.lz4.level" Int = "9", between(1, 17), cluster_wide, ignored(LEVEL);
    /// The level where the broker compresses with zstd.
    "compression.zstd.level" Int = "3", between(-131072, 22), cluster_wide, ignored(LEVEL);
    /// How many fetch sessions are kept.
    "max.incremental.fetch.session.cache.slots" Int = "1000", at_least(0);
    /// The most bytes one Fetch answer brings, but for a single larger batch.
    "fetch.max.bytes" Int = "57671680", at_least(1024);
    /// The most partitions that one DescribeTopicPartitions answer lists.
    "max.request.partition.size.limit" Int = "2000", at_least(1);
    /// Offers API versions that are still being developed.
    "unstable.api.versions.enable" Boolean = "false", internal, ignored(UNSTABLE);
    /// Offers feature levels that are still being developed.
    "unstable.feature.versions.enable" Boolean = "false", internal, ignored(UNSTABLE);
}
