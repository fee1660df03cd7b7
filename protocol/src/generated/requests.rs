// Written by scripts/schemas from the specs in kafka-clients; do not edit.
//! The shape of every request.
//!
//! Invariant: sorted by API key.

use crate::schema::Kind::*;
use crate::schema::{Field as F, OPEN, Request, Struct as S};

#[rustfmt::skip]
pub static REQUESTS: &[Request] = &[
    Request { api_key: 0, name: "Produce", versions: (3, 13), flexible_from: 9, response_flexible_from: 9, fields: &[
        F::new("TransactionalId", String, 3, OPEN).null(3, OPEN),
        F::new("Acks", Int16, 0, OPEN),
        F::new("TimeoutMs", Int32, 0, OPEN),
        F::new("TopicData", Array(&Struct(&S { decoded_size: 96, fields: &[
            F::new("Name", String, 0, 12),
            F::new("TopicId", Uuid, 13, OPEN),
            F::new("PartitionData", Array(&Struct(&S { decoded_size: 64, fields: &[
                F::new("Index", Int32, 0, OPEN),
                F::new("Records", Records, 0, OPEN).null(0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 1, name: "Fetch", versions: (4, 18), flexible_from: 12, response_flexible_from: 12, fields: &[
        F::new("ClusterId", String, 12, OPEN).null(12, OPEN).tag(0),
        F::new("ReplicaId", Int32, 0, 14),
        F::new("ReplicaState", Struct(&S { decoded_size: 40, fields: &[
            F::new("ReplicaId", Int32, 15, OPEN),
            F::new("ReplicaEpoch", Int64, 15, OPEN),
        ] }), 15, OPEN).tag(1),
        F::new("MaxWaitMs", Int32, 0, OPEN),
        F::new("MinBytes", Int32, 0, OPEN),
        F::new("MaxBytes", Int32, 3, OPEN),
        F::new("IsolationLevel", Int8, 4, OPEN),
        F::new("SessionId", Int32, 7, OPEN),
        F::new("SessionEpoch", Int32, 7, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 96, fields: &[
            F::new("Topic", String, 0, 12),
            F::new("TopicId", Uuid, 13, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 80, fields: &[
                F::new("Partition", Int32, 0, OPEN),
                F::new("CurrentLeaderEpoch", Int32, 9, OPEN),
                F::new("FetchOffset", Int64, 0, OPEN),
                F::new("LastFetchedEpoch", Int32, 12, OPEN),
                F::new("LogStartOffset", Int64, 5, OPEN),
                F::new("PartitionMaxBytes", Int32, 0, OPEN),
                F::new("ReplicaDirectoryId", Uuid, 17, OPEN).tag(0),
                F::new("HighWatermark", Int64, 18, OPEN).tag(1),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
        F::new("ForgottenTopicsData", Array(&Struct(&S { decoded_size: 96, fields: &[
            F::new("Topic", String, 7, 12),
            F::new("TopicId", Uuid, 13, OPEN),
            F::new("Partitions", Array(&Int32), 7, OPEN),
        ] })), 7, OPEN),
        F::new("RackId", String, 11, OPEN),
    ] },
    Request { api_key: 2, name: "ListOffsets", versions: (1, 11), flexible_from: 6, response_flexible_from: 6, fields: &[
        F::new("ReplicaId", Int32, 0, OPEN),
        F::new("IsolationLevel", Int8, 2, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 40, fields: &[
                F::new("PartitionIndex", Int32, 0, OPEN),
                F::new("CurrentLeaderEpoch", Int32, 4, OPEN),
                F::new("Timestamp", Int64, 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
        F::new("TimeoutMs", Int32, 10, OPEN),
    ] },
    Request { api_key: 3, name: "Metadata", versions: (0, 13), flexible_from: 9, response_flexible_from: 9, fields: &[
        F::new("Topics", Array(&Struct(&S { decoded_size: 72, fields: &[
            F::new("TopicId", Uuid, 10, OPEN),
            F::new("Name", String, 0, OPEN).null(10, OPEN),
        ] })), 0, OPEN).null(1, OPEN),
        F::new("AllowAutoTopicCreation", Bool, 4, OPEN),
        F::new("IncludeClusterAuthorizedOperations", Bool, 8, 10),
        F::new("IncludeTopicAuthorizedOperations", Bool, 8, OPEN),
    ] },
    Request { api_key: 8, name: "OffsetCommit", versions: (2, 10), flexible_from: 8, response_flexible_from: 8, fields: &[
        F::new("GroupId", String, 0, OPEN),
        F::new("GenerationIdOrMemberEpoch", Int32, 1, OPEN),
        F::new("MemberId", String, 1, OPEN),
        F::new("GroupInstanceId", String, 7, OPEN).null(7, OPEN),
        F::new("RetentionTimeMs", Int64, 2, 4),
        F::new("Topics", Array(&Struct(&S { decoded_size: 96, fields: &[
            F::new("Name", String, 0, 9),
            F::new("TopicId", Uuid, 10, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 72, fields: &[
                F::new("PartitionIndex", Int32, 0, OPEN),
                F::new("CommittedOffset", Int64, 0, OPEN),
                F::new("CommittedLeaderEpoch", Int32, 6, OPEN),
                F::new("CommittedMetadata", String, 0, OPEN).null(0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 9, name: "OffsetFetch", versions: (1, 10), flexible_from: 6, response_flexible_from: 6, fields: &[
        F::new("GroupId", String, 0, 7),
        F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("Name", String, 0, 7),
            F::new("PartitionIndexes", Array(&Int32), 0, 7),
        ] })), 0, 7).null(2, 7),
        F::new("Groups", Array(&Struct(&S { decoded_size: 120, fields: &[
            F::new("GroupId", String, 8, OPEN),
            F::new("MemberId", String, 9, OPEN).null(9, OPEN),
            F::new("MemberEpoch", Int32, 9, OPEN),
            F::new("Topics", Array(&Struct(&S { decoded_size: 96, fields: &[
                F::new("Name", String, 8, 9),
                F::new("TopicId", Uuid, 10, OPEN),
                F::new("PartitionIndexes", Array(&Int32), 8, OPEN),
            ] })), 8, OPEN).null(8, OPEN),
        ] })), 8, OPEN),
        F::new("RequireStable", Bool, 7, OPEN),
    ] },
    Request { api_key: 10, name: "FindCoordinator", versions: (0, 6), flexible_from: 3, response_flexible_from: 3, fields: &[
        F::new("Key", String, 0, 3),
        F::new("KeyType", Int8, 1, OPEN),
        F::new("CoordinatorKeys", Array(&String), 4, OPEN),
    ] },
    Request { api_key: 11, name: "JoinGroup", versions: (0, 9), flexible_from: 6, response_flexible_from: 6, fields: &[
        F::new("GroupId", String, 0, OPEN),
        F::new("SessionTimeoutMs", Int32, 0, OPEN),
        F::new("RebalanceTimeoutMs", Int32, 1, OPEN),
        F::new("MemberId", String, 0, OPEN),
        F::new("GroupInstanceId", String, 5, OPEN).null(5, OPEN),
        F::new("ProtocolType", String, 0, OPEN),
        F::new("Protocols", Array(&Struct(&S { decoded_size: 88, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("Metadata", Bytes, 0, OPEN),
        ] })), 0, OPEN),
        F::new("Reason", String, 8, OPEN).null(8, OPEN),
    ] },
    Request { api_key: 12, name: "Heartbeat", versions: (0, 4), flexible_from: 4, response_flexible_from: 4, fields: &[
        F::new("GroupId", String, 0, OPEN),
        F::new("GenerationId", Int32, 0, OPEN),
        F::new("MemberId", String, 0, OPEN),
        F::new("GroupInstanceId", String, 3, OPEN).null(3, OPEN),
    ] },
    Request { api_key: 13, name: "LeaveGroup", versions: (0, 5), flexible_from: 4, response_flexible_from: 4, fields: &[
        F::new("GroupId", String, 0, OPEN),
        F::new("MemberId", String, 0, 2),
        F::new("Members", Array(&Struct(&S { decoded_size: 120, fields: &[
            F::new("MemberId", String, 3, OPEN),
            F::new("GroupInstanceId", String, 3, OPEN).null(3, OPEN),
            F::new("Reason", String, 5, OPEN).null(5, OPEN),
        ] })), 3, OPEN),
    ] },
    Request { api_key: 14, name: "SyncGroup", versions: (0, 5), flexible_from: 4, response_flexible_from: 4, fields: &[
        F::new("GroupId", String, 0, OPEN),
        F::new("GenerationId", Int32, 0, OPEN),
        F::new("MemberId", String, 0, OPEN),
        F::new("GroupInstanceId", String, 3, OPEN).null(3, OPEN),
        F::new("ProtocolType", String, 5, OPEN).null(5, OPEN),
        F::new("ProtocolName", String, 5, OPEN).null(5, OPEN),
        F::new("Assignments", Array(&Struct(&S { decoded_size: 88, fields: &[
            F::new("MemberId", String, 0, OPEN),
            F::new("Assignment", Bytes, 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 15, name: "DescribeGroups", versions: (0, 6), flexible_from: 5, response_flexible_from: 5, fields: &[
        F::new("Groups", Array(&String), 0, OPEN),
        F::new("IncludeAuthorizedOperations", Bool, 3, OPEN),
    ] },
    Request { api_key: 16, name: "ListGroups", versions: (0, 5), flexible_from: 3, response_flexible_from: 3, fields: &[
        F::new("StatesFilter", Array(&String), 4, OPEN),
        F::new("TypesFilter", Array(&String), 5, OPEN),
    ] },
    Request { api_key: 17, name: "SaslHandshake", versions: (0, 1), flexible_from: OPEN, response_flexible_from: OPEN, fields: &[
        F::new("Mechanism", String, 0, OPEN),
    ] },
    Request { api_key: 18, name: "ApiVersions", versions: (0, 4), flexible_from: 3, response_flexible_from: 3, fields: &[
        F::new("ClientSoftwareName", String, 3, OPEN),
        F::new("ClientSoftwareVersion", String, 3, OPEN),
    ] },
    Request { api_key: 19, name: "CreateTopics", versions: (2, 7), flexible_from: 5, response_flexible_from: 5, fields: &[
        F::new("Topics", Array(&Struct(&S { decoded_size: 112, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("NumPartitions", Int32, 0, OPEN),
            F::new("ReplicationFactor", Int16, 0, OPEN),
            F::new("Assignments", Array(&Struct(&S { decoded_size: 56, fields: &[
                F::new("PartitionIndex", Int32, 0, OPEN),
                F::new("BrokerIds", Array(&Int32), 0, OPEN),
            ] })), 0, OPEN),
            F::new("Configs", Array(&Struct(&S { decoded_size: 88, fields: &[
                F::new("Name", String, 0, OPEN),
                F::new("Value", String, 0, OPEN).null(0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
        F::new("timeoutMs", Int32, 0, OPEN),
        F::new("validateOnly", Bool, 1, OPEN),
    ] },
    Request { api_key: 20, name: "DeleteTopics", versions: (1, 6), flexible_from: 4, response_flexible_from: 4, fields: &[
        F::new("Topics", Array(&Struct(&S { decoded_size: 72, fields: &[
            F::new("Name", String, 6, OPEN).null(6, OPEN),
            F::new("TopicId", Uuid, 6, OPEN),
        ] })), 6, OPEN),
        F::new("TopicNames", Array(&String), 0, 5),
        F::new("TimeoutMs", Int32, 0, OPEN),
    ] },
    Request { api_key: 21, name: "DeleteRecords", versions: (0, 2), flexible_from: 2, response_flexible_from: 2, fields: &[
        F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 40, fields: &[
                F::new("PartitionIndex", Int32, 0, OPEN),
                F::new("Offset", Int64, 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
        F::new("TimeoutMs", Int32, 0, OPEN),
    ] },
    Request { api_key: 22, name: "InitProducerId", versions: (0, 6), flexible_from: 2, response_flexible_from: 2, fields: &[
        F::new("TransactionalId", String, 0, OPEN).null(0, OPEN),
        F::new("TransactionTimeoutMs", Int32, 0, OPEN),
        F::new("ProducerId", Int64, 3, OPEN),
        F::new("ProducerEpoch", Int16, 3, OPEN),
        F::new("Enable2Pc", Bool, 6, OPEN),
        F::new("KeepPreparedTxn", Bool, 6, OPEN),
    ] },
    Request { api_key: 23, name: "OffsetForLeaderEpoch", versions: (2, 4), flexible_from: 4, response_flexible_from: 4, fields: &[
        F::new("ReplicaId", Int32, 3, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("Topic", String, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 40, fields: &[
                F::new("Partition", Int32, 0, OPEN),
                F::new("CurrentLeaderEpoch", Int32, 2, OPEN),
                F::new("LeaderEpoch", Int32, 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 24, name: "AddPartitionsToTxn", versions: (0, 5), flexible_from: 3, response_flexible_from: 3, fields: &[
        F::new("Transactions", Array(&Struct(&S { decoded_size: 96, fields: &[
            F::new("TransactionalId", String, 4, OPEN),
            F::new("ProducerId", Int64, 4, OPEN),
            F::new("ProducerEpoch", Int16, 4, OPEN),
            F::new("VerifyOnly", Bool, 4, OPEN),
            F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
                F::new("Name", String, 0, OPEN),
                F::new("Partitions", Array(&Int32), 0, OPEN),
            ] })), 4, OPEN),
        ] })), 4, OPEN),
        F::new("V3AndBelowTransactionalId", String, 0, 3),
        F::new("V3AndBelowProducerId", Int64, 0, 3),
        F::new("V3AndBelowProducerEpoch", Int16, 0, 3),
        F::new("V3AndBelowTopics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("Partitions", Array(&Int32), 0, OPEN),
        ] })), 0, 3),
    ] },
    Request { api_key: 25, name: "AddOffsetsToTxn", versions: (0, 4), flexible_from: 3, response_flexible_from: 3, fields: &[
        F::new("TransactionalId", String, 0, OPEN),
        F::new("ProducerId", Int64, 0, OPEN),
        F::new("ProducerEpoch", Int16, 0, OPEN),
        F::new("GroupId", String, 0, OPEN),
    ] },
    Request { api_key: 26, name: "EndTxn", versions: (0, 5), flexible_from: 3, response_flexible_from: 3, fields: &[
        F::new("TransactionalId", String, 0, OPEN),
        F::new("ProducerId", Int64, 0, OPEN),
        F::new("ProducerEpoch", Int16, 0, OPEN),
        F::new("Committed", Bool, 0, OPEN),
    ] },
    Request { api_key: 27, name: "WriteTxnMarkers", versions: (1, 2), flexible_from: 1, response_flexible_from: 1, fields: &[
        F::new("Markers", Array(&Struct(&S { decoded_size: 64, fields: &[
            F::new("ProducerId", Int64, 0, OPEN),
            F::new("ProducerEpoch", Int16, 0, OPEN),
            F::new("TransactionResult", Bool, 0, OPEN),
            F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
                F::new("Name", String, 0, OPEN),
                F::new("PartitionIndexes", Array(&Int32), 0, OPEN),
            ] })), 0, OPEN),
            F::new("CoordinatorEpoch", Int32, 0, OPEN),
            F::new("TransactionVersion", Int8, 2, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 28, name: "TxnOffsetCommit", versions: (0, 5), flexible_from: 3, response_flexible_from: 3, fields: &[
        F::new("TransactionalId", String, 0, OPEN),
        F::new("GroupId", String, 0, OPEN),
        F::new("ProducerId", Int64, 0, OPEN),
        F::new("ProducerEpoch", Int16, 0, OPEN),
        F::new("GenerationId", Int32, 3, OPEN),
        F::new("MemberId", String, 3, OPEN),
        F::new("GroupInstanceId", String, 3, OPEN).null(3, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 72, fields: &[
                F::new("PartitionIndex", Int32, 0, OPEN),
                F::new("CommittedOffset", Int64, 0, OPEN),
                F::new("CommittedLeaderEpoch", Int32, 2, OPEN),
                F::new("CommittedMetadata", String, 0, OPEN).null(0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 29, name: "DescribeAcls", versions: (1, 3), flexible_from: 2, response_flexible_from: 2, fields: &[
        F::new("ResourceTypeFilter", Int8, 0, OPEN),
        F::new("ResourceNameFilter", String, 0, OPEN).null(0, OPEN),
        F::new("PatternTypeFilter", Int8, 1, OPEN),
        F::new("PrincipalFilter", String, 0, OPEN).null(0, OPEN),
        F::new("HostFilter", String, 0, OPEN).null(0, OPEN),
        F::new("Operation", Int8, 0, OPEN),
        F::new("PermissionType", Int8, 0, OPEN),
    ] },
    Request { api_key: 30, name: "CreateAcls", versions: (1, 3), flexible_from: 2, response_flexible_from: 2, fields: &[
        F::new("Creations", Array(&Struct(&S { decoded_size: 128, fields: &[
            F::new("ResourceType", Int8, 0, OPEN),
            F::new("ResourceName", String, 0, OPEN),
            F::new("ResourcePatternType", Int8, 1, OPEN),
            F::new("Principal", String, 0, OPEN),
            F::new("Host", String, 0, OPEN),
            F::new("Operation", Int8, 0, OPEN),
            F::new("PermissionType", Int8, 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 31, name: "DeleteAcls", versions: (1, 3), flexible_from: 2, response_flexible_from: 2, fields: &[
        F::new("Filters", Array(&Struct(&S { decoded_size: 128, fields: &[
            F::new("ResourceTypeFilter", Int8, 0, OPEN),
            F::new("ResourceNameFilter", String, 0, OPEN).null(0, OPEN),
            F::new("PatternTypeFilter", Int8, 1, OPEN),
            F::new("PrincipalFilter", String, 0, OPEN).null(0, OPEN),
            F::new("HostFilter", String, 0, OPEN).null(0, OPEN),
            F::new("Operation", Int8, 0, OPEN),
            F::new("PermissionType", Int8, 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 32, name: "DescribeConfigs", versions: (1, 4), flexible_from: 4, response_flexible_from: 4, fields: &[
        F::new("Resources", Array(&Struct(&S { decoded_size: 88, fields: &[
            F::new("ResourceType", Int8, 0, OPEN),
            F::new("ResourceName", String, 0, OPEN),
            F::new("ConfigurationKeys", Array(&String), 0, OPEN).null(0, OPEN),
        ] })), 0, OPEN),
        F::new("IncludeSynonyms", Bool, 1, OPEN),
        F::new("IncludeDocumentation", Bool, 3, OPEN),
    ] },
    Request { api_key: 33, name: "AlterConfigs", versions: (0, 2), flexible_from: 2, response_flexible_from: 2, fields: &[
        F::new("Resources", Array(&Struct(&S { decoded_size: 88, fields: &[
            F::new("ResourceType", Int8, 0, OPEN),
            F::new("ResourceName", String, 0, OPEN),
            F::new("Configs", Array(&Struct(&S { decoded_size: 88, fields: &[
                F::new("Name", String, 0, OPEN),
                F::new("Value", String, 0, OPEN).null(0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
        F::new("ValidateOnly", Bool, 0, OPEN),
    ] },
    Request { api_key: 34, name: "AlterReplicaLogDirs", versions: (1, 2), flexible_from: 2, response_flexible_from: 2, fields: &[
        F::new("Dirs", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("Path", String, 0, OPEN),
            F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
                F::new("Name", String, 0, OPEN),
                F::new("Partitions", Array(&Int32), 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 35, name: "DescribeLogDirs", versions: (1, 5), flexible_from: 2, response_flexible_from: 2, fields: &[
        F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("Topic", String, 0, OPEN),
            F::new("Partitions", Array(&Int32), 0, OPEN),
        ] })), 0, OPEN).null(0, OPEN),
    ] },
    Request { api_key: 36, name: "SaslAuthenticate", versions: (0, 2), flexible_from: 2, response_flexible_from: 2, fields: &[
        F::new("AuthBytes", Bytes, 0, OPEN),
    ] },
    Request { api_key: 37, name: "CreatePartitions", versions: (0, 3), flexible_from: 2, response_flexible_from: 2, fields: &[
        F::new("Topics", Array(&Struct(&S { decoded_size: 88, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("Count", Int32, 0, OPEN),
            F::new("Assignments", Array(&Struct(&S { decoded_size: 48, fields: &[
                F::new("BrokerIds", Array(&Int32), 0, OPEN),
            ] })), 0, OPEN).null(0, OPEN),
        ] })), 0, OPEN),
        F::new("TimeoutMs", Int32, 0, OPEN),
        F::new("ValidateOnly", Bool, 0, OPEN),
    ] },
    Request { api_key: 38, name: "CreateDelegationToken", versions: (1, 3), flexible_from: 2, response_flexible_from: 2, fields: &[
        F::new("OwnerPrincipalType", String, 3, OPEN).null(3, OPEN),
        F::new("OwnerPrincipalName", String, 3, OPEN).null(3, OPEN),
        F::new("Renewers", Array(&Struct(&S { decoded_size: 88, fields: &[
            F::new("PrincipalType", String, 0, OPEN),
            F::new("PrincipalName", String, 0, OPEN),
        ] })), 0, OPEN),
        F::new("MaxLifetimeMs", Int64, 0, OPEN),
    ] },
    Request { api_key: 39, name: "RenewDelegationToken", versions: (1, 2), flexible_from: 2, response_flexible_from: 2, fields: &[
        F::new("Hmac", Bytes, 0, OPEN),
        F::new("RenewPeriodMs", Int64, 0, OPEN),
    ] },
    Request { api_key: 40, name: "ExpireDelegationToken", versions: (1, 2), flexible_from: 2, response_flexible_from: 2, fields: &[
        F::new("Hmac", Bytes, 0, OPEN),
        F::new("ExpiryTimePeriodMs", Int64, 0, OPEN),
    ] },
    Request { api_key: 41, name: "DescribeDelegationToken", versions: (1, 3), flexible_from: 2, response_flexible_from: 2, fields: &[
        F::new("Owners", Array(&Struct(&S { decoded_size: 88, fields: &[
            F::new("PrincipalType", String, 0, OPEN),
            F::new("PrincipalName", String, 0, OPEN),
        ] })), 0, OPEN).null(0, OPEN),
    ] },
    Request { api_key: 42, name: "DeleteGroups", versions: (0, 2), flexible_from: 2, response_flexible_from: 2, fields: &[
        F::new("GroupsNames", Array(&String), 0, OPEN),
    ] },
    Request { api_key: 43, name: "ElectLeaders", versions: (0, 2), flexible_from: 2, response_flexible_from: 2, fields: &[
        F::new("ElectionType", Int8, 1, OPEN),
        F::new("TopicPartitions", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("Topic", String, 0, OPEN),
            F::new("Partitions", Array(&Int32), 0, OPEN),
        ] })), 0, OPEN).null(0, OPEN),
        F::new("TimeoutMs", Int32, 0, OPEN),
    ] },
    Request { api_key: 44, name: "IncrementalAlterConfigs", versions: (0, 1), flexible_from: 1, response_flexible_from: 1, fields: &[
        F::new("Resources", Array(&Struct(&S { decoded_size: 88, fields: &[
            F::new("ResourceType", Int8, 0, OPEN),
            F::new("ResourceName", String, 0, OPEN),
            F::new("Configs", Array(&Struct(&S { decoded_size: 96, fields: &[
                F::new("Name", String, 0, OPEN),
                F::new("ConfigOperation", Int8, 0, OPEN),
                F::new("Value", String, 0, OPEN).null(0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
        F::new("ValidateOnly", Bool, 0, OPEN),
    ] },
    Request { api_key: 45, name: "AlterPartitionReassignments", versions: (0, 1), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("TimeoutMs", Int32, 0, OPEN),
        F::new("AllowReplicationFactorChange", Bool, 1, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 56, fields: &[
                F::new("PartitionIndex", Int32, 0, OPEN),
                F::new("Replicas", Array(&Int32), 0, OPEN).null(0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 46, name: "ListPartitionReassignments", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("TimeoutMs", Int32, 0, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("PartitionIndexes", Array(&Int32), 0, OPEN),
        ] })), 0, OPEN).null(0, OPEN),
    ] },
    Request { api_key: 47, name: "OffsetDelete", versions: (0, 0), flexible_from: OPEN, response_flexible_from: OPEN, fields: &[
        F::new("GroupId", String, 0, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 32, fields: &[
                F::new("PartitionIndex", Int32, 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 48, name: "DescribeClientQuotas", versions: (0, 1), flexible_from: 1, response_flexible_from: 1, fields: &[
        F::new("Components", Array(&Struct(&S { decoded_size: 96, fields: &[
            F::new("EntityType", String, 0, OPEN),
            F::new("MatchType", Int8, 0, OPEN),
            F::new("Match", String, 0, OPEN).null(0, OPEN),
        ] })), 0, OPEN),
        F::new("Strict", Bool, 0, OPEN),
    ] },
    Request { api_key: 49, name: "AlterClientQuotas", versions: (0, 1), flexible_from: 1, response_flexible_from: 1, fields: &[
        F::new("Entries", Array(&Struct(&S { decoded_size: 72, fields: &[
            F::new("Entity", Array(&Struct(&S { decoded_size: 88, fields: &[
                F::new("EntityType", String, 0, OPEN),
                F::new("EntityName", String, 0, OPEN).null(0, OPEN),
            ] })), 0, OPEN),
            F::new("Ops", Array(&Struct(&S { decoded_size: 72, fields: &[
                F::new("Key", String, 0, OPEN),
                F::new("Value", Float64, 0, OPEN),
                F::new("Remove", Bool, 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
        F::new("ValidateOnly", Bool, 0, OPEN),
    ] },
    Request { api_key: 50, name: "DescribeUserScramCredentials", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("Users", Array(&Struct(&S { decoded_size: 56, fields: &[
            F::new("Name", String, 0, OPEN),
        ] })), 0, OPEN).null(0, OPEN),
    ] },
    Request { api_key: 51, name: "AlterUserScramCredentials", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("Deletions", Array(&Struct(&S { decoded_size: 64, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("Mechanism", Int8, 0, OPEN),
        ] })), 0, OPEN),
        F::new("Upsertions", Array(&Struct(&S { decoded_size: 128, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("Mechanism", Int8, 0, OPEN),
            F::new("Iterations", Int32, 0, OPEN),
            F::new("Salt", Bytes, 0, OPEN),
            F::new("SaltedPassword", Bytes, 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 52, name: "Vote", versions: (0, 2), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("ClusterId", String, 0, OPEN).null(0, OPEN),
        F::new("VoterId", Int32, 1, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("TopicName", String, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 88, fields: &[
                F::new("PartitionIndex", Int32, 0, OPEN),
                F::new("ReplicaEpoch", Int32, 0, OPEN),
                F::new("ReplicaId", Int32, 0, OPEN),
                F::new("ReplicaDirectoryId", Uuid, 1, OPEN),
                F::new("VoterDirectoryId", Uuid, 1, OPEN),
                F::new("LastOffsetEpoch", Int32, 0, OPEN),
                F::new("LastOffset", Int64, 0, OPEN),
                F::new("PreVote", Bool, 2, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 53, name: "BeginQuorumEpoch", versions: (0, 1), flexible_from: 1, response_flexible_from: 1, fields: &[
        F::new("ClusterId", String, 0, OPEN).null(0, OPEN),
        F::new("VoterId", Int32, 1, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("TopicName", String, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 56, fields: &[
                F::new("PartitionIndex", Int32, 0, OPEN),
                F::new("VoterDirectoryId", Uuid, 1, OPEN),
                F::new("LeaderId", Int32, 0, OPEN),
                F::new("LeaderEpoch", Int32, 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
        F::new("LeaderEndpoints", Array(&Struct(&S { decoded_size: 96, fields: &[
            F::new("Name", String, 1, OPEN),
            F::new("Host", String, 1, OPEN),
            F::new("Port", Uint16, 1, OPEN),
        ] })), 1, OPEN),
    ] },
    Request { api_key: 54, name: "EndQuorumEpoch", versions: (0, 1), flexible_from: 1, response_flexible_from: 1, fields: &[
        F::new("ClusterId", String, 0, OPEN).null(0, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("TopicName", String, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 88, fields: &[
                F::new("PartitionIndex", Int32, 0, OPEN),
                F::new("LeaderId", Int32, 0, OPEN),
                F::new("LeaderEpoch", Int32, 0, OPEN),
                F::new("PreferredSuccessors", Array(&Int32), 0, 0),
                F::new("PreferredCandidates", Array(&Struct(&S { decoded_size: 48, fields: &[
                    F::new("CandidateId", Int32, 1, OPEN),
                    F::new("CandidateDirectoryId", Uuid, 1, OPEN),
                ] })), 1, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
        F::new("LeaderEndpoints", Array(&Struct(&S { decoded_size: 96, fields: &[
            F::new("Name", String, 1, OPEN),
            F::new("Host", String, 1, OPEN),
            F::new("Port", Uint16, 1, OPEN),
        ] })), 1, OPEN),
    ] },
    Request { api_key: 55, name: "DescribeQuorum", versions: (0, 2), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("TopicName", String, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 32, fields: &[
                F::new("PartitionIndex", Int32, 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 56, name: "AlterPartition", versions: (2, 3), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("BrokerId", Int32, 0, OPEN),
        F::new("BrokerEpoch", Int64, 0, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 64, fields: &[
            F::new("TopicId", Uuid, 2, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 88, fields: &[
                F::new("PartitionIndex", Int32, 0, OPEN),
                F::new("LeaderEpoch", Int32, 0, OPEN),
                F::new("NewIsr", Array(&Int32), 0, 2),
                F::new("NewIsrWithEpochs", Array(&Struct(&S { decoded_size: 40, fields: &[
                    F::new("BrokerId", Int32, 3, OPEN),
                    F::new("BrokerEpoch", Int64, 3, OPEN),
                ] })), 3, OPEN),
                F::new("LeaderRecoveryState", Int8, 1, OPEN),
                F::new("PartitionEpoch", Int32, 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 57, name: "UpdateFeatures", versions: (0, 2), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("timeoutMs", Int32, 0, OPEN),
        F::new("FeatureUpdates", Array(&Struct(&S { decoded_size: 64, fields: &[
            F::new("Feature", String, 0, OPEN),
            F::new("MaxVersionLevel", Int16, 0, OPEN),
            F::new("AllowDowngrade", Bool, 0, 0),
            F::new("UpgradeType", Int8, 1, OPEN),
        ] })), 0, OPEN),
        F::new("ValidateOnly", Bool, 1, OPEN),
    ] },
    Request { api_key: 58, name: "Envelope", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("RequestData", Bytes, 0, OPEN),
        F::new("RequestPrincipal", Bytes, 0, OPEN).null(0, OPEN),
        F::new("ClientHostAddress", Bytes, 0, OPEN),
    ] },
    Request { api_key: 59, name: "FetchSnapshot", versions: (0, 1), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("ClusterId", String, 0, OPEN).null(0, OPEN).tag(0),
        F::new("ReplicaId", Int32, 0, OPEN),
        F::new("MaxBytes", Int32, 0, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 96, fields: &[
                F::new("Partition", Int32, 0, OPEN),
                F::new("CurrentLeaderEpoch", Int32, 0, OPEN),
                F::new("SnapshotId", Struct(&S { decoded_size: 40, fields: &[
                    F::new("EndOffset", Int64, 0, OPEN),
                    F::new("Epoch", Int32, 0, OPEN),
                ] }), 0, OPEN),
                F::new("Position", Int64, 0, OPEN),
                F::new("ReplicaDirectoryId", Uuid, 1, OPEN).tag(0),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 60, name: "DescribeCluster", versions: (0, 2), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("IncludeClusterAuthorizedOperations", Bool, 0, OPEN),
        F::new("EndpointType", Int8, 1, OPEN),
        F::new("IncludeFencedBrokers", Bool, 2, OPEN),
    ] },
    Request { api_key: 61, name: "DescribeProducers", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("PartitionIndexes", Array(&Int32), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 62, name: "BrokerRegistration", versions: (0, 4), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("BrokerId", Int32, 0, OPEN),
        F::new("ClusterId", String, 0, OPEN),
        F::new("IncarnationId", Uuid, 0, OPEN),
        F::new("Listeners", Array(&Struct(&S { decoded_size: 96, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("Host", String, 0, OPEN),
            F::new("Port", Uint16, 0, OPEN),
            F::new("SecurityProtocol", Int16, 0, OPEN),
        ] })), 0, OPEN),
        F::new("Features", Array(&Struct(&S { decoded_size: 64, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("MinSupportedVersion", Int16, 0, OPEN),
            F::new("MaxSupportedVersion", Int16, 0, OPEN),
        ] })), 0, OPEN),
        F::new("Rack", String, 0, OPEN).null(0, OPEN),
        F::new("IsMigratingZkBroker", Bool, 1, OPEN),
        F::new("LogDirs", Array(&Uuid), 2, OPEN),
        F::new("PreviousBrokerEpoch", Int64, 3, OPEN),
    ] },
    Request { api_key: 63, name: "BrokerHeartbeat", versions: (0, 2), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("BrokerId", Int32, 0, OPEN),
        F::new("BrokerEpoch", Int64, 0, OPEN),
        F::new("CurrentMetadataOffset", Int64, 0, OPEN),
        F::new("WantFence", Bool, 0, OPEN),
        F::new("WantShutDown", Bool, 0, OPEN),
        F::new("OfflineLogDirs", Array(&Uuid), 1, OPEN).tag(0),
        F::new("CordonedLogDirs", Array(&Uuid), 2, OPEN).null(2, OPEN).tag(1),
    ] },
    Request { api_key: 64, name: "UnregisterBroker", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("BrokerId", Int32, 0, OPEN),
    ] },
    Request { api_key: 65, name: "DescribeTransactions", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("TransactionalIds", Array(&String), 0, OPEN),
    ] },
    Request { api_key: 66, name: "ListTransactions", versions: (0, 2), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("StateFilters", Array(&String), 0, OPEN),
        F::new("ProducerIdFilters", Array(&Int64), 0, OPEN),
        F::new("DurationFilter", Int64, 1, OPEN),
        F::new("TransactionalIdPattern", String, 2, OPEN).null(2, OPEN),
    ] },
    Request { api_key: 67, name: "AllocateProducerIds", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("BrokerId", Int32, 0, OPEN),
        F::new("BrokerEpoch", Int64, 0, OPEN),
    ] },
    Request { api_key: 68, name: "ConsumerGroupHeartbeat", versions: (0, 1), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("GroupId", String, 0, OPEN),
        F::new("MemberId", String, 0, OPEN),
        F::new("MemberEpoch", Int32, 0, OPEN),
        F::new("InstanceId", String, 0, OPEN).null(0, OPEN),
        F::new("RackId", String, 0, OPEN).null(0, OPEN),
        F::new("RebalanceTimeoutMs", Int32, 0, OPEN),
        F::new("SubscribedTopicNames", Array(&String), 0, OPEN).null(0, OPEN),
        F::new("SubscribedTopicRegex", String, 1, OPEN).null(1, OPEN),
        F::new("ServerAssignor", String, 0, OPEN).null(0, OPEN),
        F::new("TopicPartitions", Array(&Struct(&S { decoded_size: 64, fields: &[
            F::new("TopicId", Uuid, 0, OPEN),
            F::new("Partitions", Array(&Int32), 0, OPEN),
        ] })), 0, OPEN).null(0, OPEN),
    ] },
    Request { api_key: 69, name: "ConsumerGroupDescribe", versions: (0, 1), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("GroupIds", Array(&String), 0, OPEN),
        F::new("IncludeAuthorizedOperations", Bool, 0, OPEN),
    ] },
    Request { api_key: 70, name: "ControllerRegistration", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("ControllerId", Int32, 0, OPEN),
        F::new("IncarnationId", Uuid, 0, OPEN),
        F::new("ZkMigrationReady", Bool, 0, OPEN),
        F::new("Listeners", Array(&Struct(&S { decoded_size: 96, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("Host", String, 0, OPEN),
            F::new("Port", Uint16, 0, OPEN),
            F::new("SecurityProtocol", Int16, 0, OPEN),
        ] })), 0, OPEN),
        F::new("Features", Array(&Struct(&S { decoded_size: 64, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("MinSupportedVersion", Int16, 0, OPEN),
            F::new("MaxSupportedVersion", Int16, 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 71, name: "GetTelemetrySubscriptions", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("ClientInstanceId", Uuid, 0, OPEN),
    ] },
    Request { api_key: 72, name: "PushTelemetry", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("ClientInstanceId", Uuid, 0, OPEN),
        F::new("SubscriptionId", Int32, 0, OPEN),
        F::new("Terminating", Bool, 0, OPEN),
        F::new("CompressionType", Int8, 0, OPEN),
        F::new("Metrics", Bytes, 0, OPEN),
    ] },
    Request { api_key: 73, name: "AssignReplicasToDirs", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("BrokerId", Int32, 0, OPEN),
        F::new("BrokerEpoch", Int64, 0, OPEN),
        F::new("Directories", Array(&Struct(&S { decoded_size: 64, fields: &[
            F::new("Id", Uuid, 0, OPEN),
            F::new("Topics", Array(&Struct(&S { decoded_size: 64, fields: &[
                F::new("TopicId", Uuid, 0, OPEN),
                F::new("Partitions", Array(&Struct(&S { decoded_size: 32, fields: &[
                    F::new("PartitionIndex", Int32, 0, OPEN),
                ] })), 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 74, name: "ListConfigResources", versions: (0, 1), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("ResourceTypes", Array(&Int8), 1, OPEN),
    ] },
    Request { api_key: 75, name: "DescribeTopicPartitions", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("Topics", Array(&Struct(&S { decoded_size: 56, fields: &[
            F::new("Name", String, 0, OPEN),
        ] })), 0, OPEN),
        F::new("ResponsePartitionLimit", Int32, 0, OPEN),
        F::new("Cursor", Struct(&S { decoded_size: 64, fields: &[
            F::new("TopicName", String, 0, OPEN),
            F::new("PartitionIndex", Int32, 0, OPEN),
        ] }), 0, OPEN).null(0, OPEN),
    ] },
    Request { api_key: 76, name: "ShareGroupHeartbeat", versions: (1, 1), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("GroupId", String, 0, OPEN),
        F::new("MemberId", String, 0, OPEN),
        F::new("MemberEpoch", Int32, 0, OPEN),
        F::new("RackId", String, 0, OPEN).null(0, OPEN),
        F::new("SubscribedTopicNames", Array(&String), 0, OPEN).null(0, OPEN),
    ] },
    Request { api_key: 77, name: "ShareGroupDescribe", versions: (1, 1), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("GroupIds", Array(&String), 0, OPEN),
        F::new("IncludeAuthorizedOperations", Bool, 0, OPEN),
    ] },
    Request { api_key: 78, name: "ShareFetch", versions: (1, 2), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("GroupId", String, 0, OPEN).null(0, OPEN),
        F::new("MemberId", String, 0, OPEN).null(0, OPEN),
        F::new("ShareSessionEpoch", Int32, 0, OPEN),
        F::new("MaxWaitMs", Int32, 0, OPEN),
        F::new("MinBytes", Int32, 0, OPEN),
        F::new("MaxBytes", Int32, 0, OPEN),
        F::new("MaxRecords", Int32, 1, OPEN),
        F::new("BatchSize", Int32, 1, OPEN),
        F::new("ShareAcquireMode", Int8, 2, OPEN),
        F::new("IsRenewAck", Bool, 2, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 64, fields: &[
            F::new("TopicId", Uuid, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 56, fields: &[
                F::new("PartitionIndex", Int32, 0, OPEN),
                F::new("PartitionMaxBytes", Int32, 0, 0),
                F::new("AcknowledgementBatches", Array(&Struct(&S { decoded_size: 64, fields: &[
                    F::new("FirstOffset", Int64, 0, OPEN),
                    F::new("LastOffset", Int64, 0, OPEN),
                    F::new("AcknowledgeTypes", Array(&Int8), 0, OPEN),
                ] })), 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
        F::new("ForgottenTopicsData", Array(&Struct(&S { decoded_size: 64, fields: &[
            F::new("TopicId", Uuid, 0, OPEN),
            F::new("Partitions", Array(&Int32), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 79, name: "ShareAcknowledge", versions: (1, 2), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("GroupId", String, 0, OPEN).null(0, OPEN),
        F::new("MemberId", String, 0, OPEN).null(0, OPEN),
        F::new("ShareSessionEpoch", Int32, 0, OPEN),
        F::new("IsRenewAck", Bool, 2, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 64, fields: &[
            F::new("TopicId", Uuid, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 56, fields: &[
                F::new("PartitionIndex", Int32, 0, OPEN),
                F::new("AcknowledgementBatches", Array(&Struct(&S { decoded_size: 64, fields: &[
                    F::new("FirstOffset", Int64, 0, OPEN),
                    F::new("LastOffset", Int64, 0, OPEN),
                    F::new("AcknowledgeTypes", Array(&Int8), 0, OPEN),
                ] })), 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 80, name: "AddRaftVoter", versions: (0, 1), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("ClusterId", String, 0, OPEN).null(0, OPEN),
        F::new("TimeoutMs", Int32, 0, OPEN),
        F::new("VoterId", Int32, 0, OPEN),
        F::new("VoterDirectoryId", Uuid, 0, OPEN),
        F::new("Listeners", Array(&Struct(&S { decoded_size: 96, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("Host", String, 0, OPEN),
            F::new("Port", Uint16, 0, OPEN),
        ] })), 0, OPEN),
        F::new("AckWhenCommitted", Bool, 1, OPEN),
    ] },
    Request { api_key: 81, name: "RemoveRaftVoter", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("ClusterId", String, 0, OPEN).null(0, OPEN),
        F::new("VoterId", Int32, 0, OPEN),
        F::new("VoterDirectoryId", Uuid, 0, OPEN),
    ] },
    Request { api_key: 82, name: "UpdateRaftVoter", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("ClusterId", String, 0, OPEN).null(0, OPEN),
        F::new("CurrentLeaderEpoch", Int32, 0, OPEN),
        F::new("VoterId", Int32, 0, OPEN),
        F::new("VoterDirectoryId", Uuid, 0, OPEN),
        F::new("Listeners", Array(&Struct(&S { decoded_size: 96, fields: &[
            F::new("Name", String, 0, OPEN),
            F::new("Host", String, 0, OPEN),
            F::new("Port", Uint16, 0, OPEN),
        ] })), 0, OPEN),
        F::new("KRaftVersionFeature", Struct(&S { decoded_size: 32, fields: &[
            F::new("MinSupportedVersion", Int16, 0, OPEN),
            F::new("MaxSupportedVersion", Int16, 0, OPEN),
        ] }), 0, OPEN),
    ] },
    Request { api_key: 83, name: "InitializeShareGroupState", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("GroupId", String, 0, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 64, fields: &[
            F::new("TopicId", Uuid, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 40, fields: &[
                F::new("Partition", Int32, 0, OPEN),
                F::new("StateEpoch", Int32, 0, OPEN),
                F::new("StartOffset", Int64, 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 84, name: "ReadShareGroupState", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("GroupId", String, 0, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 64, fields: &[
            F::new("TopicId", Uuid, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 32, fields: &[
                F::new("Partition", Int32, 0, OPEN),
                F::new("LeaderEpoch", Int32, 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 85, name: "WriteShareGroupState", versions: (0, 1), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("GroupId", String, 0, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 64, fields: &[
            F::new("TopicId", Uuid, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 72, fields: &[
                F::new("Partition", Int32, 0, OPEN),
                F::new("StateEpoch", Int32, 0, OPEN),
                F::new("LeaderEpoch", Int32, 0, OPEN),
                F::new("StartOffset", Int64, 0, OPEN),
                F::new("DeliveryCompleteCount", Int32, 1, OPEN),
                F::new("StateBatches", Array(&Struct(&S { decoded_size: 48, fields: &[
                    F::new("FirstOffset", Int64, 0, OPEN),
                    F::new("LastOffset", Int64, 0, OPEN),
                    F::new("DeliveryState", Int8, 0, OPEN),
                    F::new("DeliveryCount", Int16, 0, OPEN),
                ] })), 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 86, name: "DeleteShareGroupState", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("GroupId", String, 0, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 64, fields: &[
            F::new("TopicId", Uuid, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 32, fields: &[
                F::new("Partition", Int32, 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 87, name: "ReadShareGroupStateSummary", versions: (0, 1), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("GroupId", String, 0, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 64, fields: &[
            F::new("TopicId", Uuid, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 32, fields: &[
                F::new("Partition", Int32, 0, OPEN),
                F::new("LeaderEpoch", Int32, 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 88, name: "StreamsGroupHeartbeat", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("GroupId", String, 0, OPEN),
        F::new("MemberId", String, 0, OPEN),
        F::new("MemberEpoch", Int32, 0, OPEN),
        F::new("EndpointInformationEpoch", Int32, 0, OPEN),
        F::new("InstanceId", String, 0, OPEN).null(0, OPEN),
        F::new("RackId", String, 0, OPEN).null(0, OPEN),
        F::new("RebalanceTimeoutMs", Int32, 0, OPEN),
        F::new("Topology", Struct(&S { decoded_size: 56, fields: &[
            F::new("Epoch", Int32, 0, OPEN),
            F::new("Subtopologies", Array(&Struct(&S { decoded_size: 200, fields: &[
                F::new("SubtopologyId", String, 0, OPEN),
                F::new("SourceTopics", Array(&String), 0, OPEN),
                F::new("SourceTopicRegex", Array(&String), 0, OPEN),
                F::new("StateChangelogTopics", Array(&Struct(&S { decoded_size: 88, fields: &[
                    F::new("Name", String, 0, OPEN),
                    F::new("Partitions", Int32, 0, OPEN),
                    F::new("ReplicationFactor", Int16, 0, OPEN),
                    F::new("TopicConfigs", Array(&Struct(&S { decoded_size: 88, fields: &[
                        F::new("Key", String, 0, OPEN),
                        F::new("Value", String, 0, OPEN),
                    ] })), 0, OPEN),
                ] })), 0, OPEN),
                F::new("RepartitionSinkTopics", Array(&String), 0, OPEN),
                F::new("RepartitionSourceTopics", Array(&Struct(&S { decoded_size: 88, fields: &[
                    F::new("Name", String, 0, OPEN),
                    F::new("Partitions", Int32, 0, OPEN),
                    F::new("ReplicationFactor", Int16, 0, OPEN),
                    F::new("TopicConfigs", Array(&Struct(&S { decoded_size: 88, fields: &[
                        F::new("Key", String, 0, OPEN),
                        F::new("Value", String, 0, OPEN),
                    ] })), 0, OPEN),
                ] })), 0, OPEN),
                F::new("CopartitionGroups", Array(&Struct(&S { decoded_size: 96, fields: &[
                    F::new("SourceTopics", Array(&Int16), 0, OPEN),
                    F::new("SourceTopicRegex", Array(&Int16), 0, OPEN),
                    F::new("RepartitionSourceTopics", Array(&Int16), 0, OPEN),
                ] })), 0, OPEN),
            ] })), 0, OPEN),
        ] }), 0, OPEN).null(0, OPEN),
        F::new("ActiveTasks", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("SubtopologyId", String, 0, OPEN),
            F::new("Partitions", Array(&Int32), 0, OPEN),
        ] })), 0, OPEN).null(0, OPEN),
        F::new("StandbyTasks", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("SubtopologyId", String, 0, OPEN),
            F::new("Partitions", Array(&Int32), 0, OPEN),
        ] })), 0, OPEN).null(0, OPEN),
        F::new("WarmupTasks", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("SubtopologyId", String, 0, OPEN),
            F::new("Partitions", Array(&Int32), 0, OPEN),
        ] })), 0, OPEN).null(0, OPEN),
        F::new("ProcessId", String, 0, OPEN).null(0, OPEN),
        F::new("UserEndpoint", Struct(&S { decoded_size: 64, fields: &[
            F::new("Host", String, 0, OPEN),
            F::new("Port", Uint16, 0, OPEN),
        ] }), 0, OPEN).null(0, OPEN),
        F::new("ClientTags", Array(&Struct(&S { decoded_size: 88, fields: &[
            F::new("Key", String, 0, OPEN),
            F::new("Value", String, 0, OPEN),
        ] })), 0, OPEN).null(0, OPEN),
        F::new("TaskOffsets", Array(&Struct(&S { decoded_size: 72, fields: &[
            F::new("SubtopologyId", String, 0, OPEN),
            F::new("Partition", Int32, 0, OPEN),
            F::new("Offset", Int64, 0, OPEN),
        ] })), 0, OPEN).null(0, OPEN),
        F::new("TaskEndOffsets", Array(&Struct(&S { decoded_size: 72, fields: &[
            F::new("SubtopologyId", String, 0, OPEN),
            F::new("Partition", Int32, 0, OPEN),
            F::new("Offset", Int64, 0, OPEN),
        ] })), 0, OPEN).null(0, OPEN),
        F::new("ShutdownApplication", Bool, 0, OPEN),
    ] },
    Request { api_key: 89, name: "StreamsGroupDescribe", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("GroupIds", Array(&String), 0, OPEN),
        F::new("IncludeAuthorizedOperations", Bool, 0, OPEN),
    ] },
    Request { api_key: 90, name: "DescribeShareGroupOffsets", versions: (0, 1), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("Groups", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("GroupId", String, 0, OPEN),
            F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
                F::new("TopicName", String, 0, OPEN),
                F::new("Partitions", Array(&Int32), 0, OPEN),
            ] })), 0, OPEN).null(0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 91, name: "AlterShareGroupOffsets", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("GroupId", String, 0, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 80, fields: &[
            F::new("TopicName", String, 0, OPEN),
            F::new("Partitions", Array(&Struct(&S { decoded_size: 40, fields: &[
                F::new("PartitionIndex", Int32, 0, OPEN),
                F::new("StartOffset", Int64, 0, OPEN),
            ] })), 0, OPEN),
        ] })), 0, OPEN),
    ] },
    Request { api_key: 92, name: "DeleteShareGroupOffsets", versions: (0, 0), flexible_from: 0, response_flexible_from: 0, fields: &[
        F::new("GroupId", String, 0, OPEN),
        F::new("Topics", Array(&Struct(&S { decoded_size: 56, fields: &[
            F::new("TopicName", String, 0, OPEN),
        ] })), 0, OPEN),
    ] },
];
