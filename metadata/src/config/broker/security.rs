//! The configs of TLS, SASL and delegation tokens.
//!
//! Invariant: rows stand in upstream's order: the first wrong value is the one that is named.

use super::super::def::config_table;
use super::super::ignored::{PLUG_IN, SECURITY};
use super::super::valid::Valid;

config_table! {
    pub(super) const ROWS;

    /// How long a login holds before the client must renew it; 0 is for ever.
    "connections.max.reauth.ms" Long = "0", ignored(SECURITY);
    /// The longest message of a login.
    "sasl.server.max.receive.size" Int = "524288", ignored(SECURITY);
    /// The classes that bring security algorithms.
    "security.providers" String, ignored(PLUG_IN);
    /// The class that names who is connected.
    "principal.builder.class" Class =
        "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder", per_broker,
        ignored(SECURITY);
    /// Whether TLS clients must, may or need not show a certificate.
    "ssl.client.auth" String = "none", one_of(&["required", "requested", "none"]), per_broker,
        ignored(SECURITY);
    /// How the name in a certificate becomes a user name.
    "ssl.principal.mapping.rules" String = "DEFAULT", ignored(SECURITY);
    /// Lets a new key store carry another distinguished name.
    "ssl.allow.dn.changes" Boolean = "false", ignored(SECURITY);
    /// Lets a new key store carry other alternative names.
    "ssl.allow.san.changes" Boolean = "false", ignored(SECURITY);
    /// The TLS version contexts are made for.
    "ssl.protocol" String = "TLSv1.3", per_broker, ignored(SECURITY);
    /// The Java provider of TLS.
    "ssl.provider" String, per_broker, ignored(PLUG_IN);
    /// The TLS versions that are accepted.
    "ssl.enabled.protocols" List = "TLSv1.2,TLSv1.3", any_list, per_broker, ignored(SECURITY);
    /// The format of the key store.
    "ssl.keystore.type" String = "JKS", per_broker, ignored(SECURITY);
    /// The file of the key store.
    "ssl.keystore.location" String, per_broker, ignored(SECURITY);
    /// The password of the key store.
    "ssl.keystore.password" Password, per_broker, ignored(SECURITY);
    /// The password of the private key.
    "ssl.key.password" Password, per_broker, ignored(SECURITY);
    /// The private key itself, as PEM.
    "ssl.keystore.key" Password, per_broker, ignored(SECURITY);
    /// The certificate chain itself, as PEM.
    "ssl.keystore.certificate.chain" Password, per_broker, ignored(SECURITY);
    /// The format of the trust store.
    "ssl.truststore.type" String = "JKS", per_broker, ignored(SECURITY);
    /// The file of the trust store.
    "ssl.truststore.location" String, per_broker, ignored(SECURITY);
    /// The password of the trust store.
    "ssl.truststore.password" Password, per_broker, ignored(SECURITY);
    /// The trusted certificates themselves, as PEM.
    "ssl.truststore.certificates" Password, per_broker, ignored(SECURITY);
    /// The Java algorithm of the key manager.
    "ssl.keymanager.algorithm" String = "SunX509", per_broker, ignored(PLUG_IN);
    /// The Java algorithm of the trust manager.
    "ssl.trustmanager.algorithm" String = "PKIX", per_broker, ignored(PLUG_IN);
    /// How a server's name is checked against its certificate.
    "ssl.endpoint.identification.algorithm" String = "https", per_broker, ignored(SECURITY);
    /// The Java source of random numbers.
    "ssl.secure.random.implementation" String, per_broker, ignored(PLUG_IN);
    /// The cipher suites that are accepted.
    "ssl.cipher.suites" List = "", any_list, per_broker, ignored(SECURITY);
    /// The class that makes TLS engines.
    "ssl.engine.factory.class" Class, per_broker, ignored(PLUG_IN);
    /// The SASL mechanism between brokers.
    "sasl.mechanism.inter.broker.protocol" String = "GSSAPI", per_broker, ignored(SECURITY);
    /// The SASL mechanisms that clients may use.
    "sasl.enabled.mechanisms" List = "GSSAPI", any_list, per_broker, ignored(SECURITY);
    /// The class that checks logins.
    "sasl.server.callback.handler.class" Class, ignored(PLUG_IN);
    /// How a Kerberos principal becomes a user name.
    "sasl.kerberos.principal.to.local.rules" List = "DEFAULT", any_list, per_broker,
        ignored(SECURITY);
    /// The login entry of a listener's mechanism.
    "sasl.jaas.config" Password, per_broker, ignored(SECURITY);
    /// The class that gives credentials to logins at other nodes.
    "sasl.client.callback.handler.class" Class, ignored(PLUG_IN);
    /// The class that logs in.
    "sasl.login.class" Class, ignored(PLUG_IN);
    /// The class that gives credentials to the login class.
    "sasl.login.callback.handler.class" Class, ignored(PLUG_IN);
    /// The Kerberos service name of the brokers.
    "sasl.kerberos.service.name" String, per_broker, ignored(SECURITY);
    /// The path of kinit.
    "sasl.kerberos.kinit.cmd" String = "/usr/bin/kinit", per_broker, ignored(SECURITY);
    /// After which share of its life a ticket is renewed.
    "sasl.kerberos.ticket.renew.window.factor" Double = "0.8", per_broker, ignored(SECURITY);
    /// The random share of a ticket's renewal time.
    "sasl.kerberos.ticket.renew.jitter" Double = "0.05", per_broker, ignored(SECURITY);
    /// The shortest time between two Kerberos logins.
    "sasl.kerberos.min.time.before.relogin" Long = "60000", per_broker, ignored(SECURITY);
    /// After which share of its life a login is refreshed.
    "sasl.login.refresh.window.factor" Double = "0.8", per_broker, ignored(SECURITY);
    /// The random share of a login's refresh time.
    "sasl.login.refresh.window.jitter" Double = "0.05", per_broker, ignored(SECURITY);
    /// The shortest time before a login is refreshed.
    "sasl.login.refresh.min.period.seconds" Short = "60", per_broker, ignored(SECURITY);
    /// How long before its end a login is refreshed at the latest.
    "sasl.login.refresh.buffer.seconds" Short = "300", per_broker, ignored(SECURITY);
    /// How long a connection to the identity provider may take to come up.
    "sasl.login.connect.timeout.ms" Int, ignored(SECURITY);
    /// How long an answer of the identity provider may take.
    "sasl.login.read.timeout.ms" Int, ignored(SECURITY);
    /// The longest wait before the identity provider is asked again.
    "sasl.login.retry.backoff.max.ms" Long = "10000", ignored(SECURITY);
    /// The first wait before the identity provider is asked again.
    "sasl.login.retry.backoff.ms" Long = "100", ignored(SECURITY);
    /// The class that fetches OAuth tokens.
    "sasl.oauthbearer.jwt.retriever.class" Class =
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever", ignored(PLUG_IN);
    /// The class that checks OAuth tokens.
    "sasl.oauthbearer.jwt.validator.class" Class =
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator", ignored(PLUG_IN);
    /// The scope asked for with a token.
    "sasl.oauthbearer.scope" String, ignored(SECURITY);
    /// The client id for the client credentials grant.
    "sasl.oauthbearer.client.credentials.client.id" String, ignored(SECURITY);
    /// The client secret for the client credentials grant.
    "sasl.oauthbearer.client.credentials.client.secret" Password, ignored(SECURITY);
    /// The signature algorithm of a login by assertion.
    "sasl.oauthbearer.assertion.algorithm" String = "RS256",
        valid(Valid::OneOfIgnoringCase(&["ES256", "RS256"])), ignored(SECURITY);
    /// The audience claim of an assertion.
    "sasl.oauthbearer.assertion.claim.aud" String, ignored(SECURITY);
    /// How long an assertion holds.
    "sasl.oauthbearer.assertion.claim.exp.seconds" Int = "300", between(0, 86400),
        ignored(SECURITY);
    /// The issuer claim of an assertion.
    "sasl.oauthbearer.assertion.claim.iss" String, ignored(SECURITY);
    /// Whether an assertion carries an id of its own.
    "sasl.oauthbearer.assertion.claim.jti.include" Boolean = "false", ignored(SECURITY);
    /// How far before now an assertion begins to hold.
    "sasl.oauthbearer.assertion.claim.nbf.seconds" Int = "60", between(0, 3600), ignored(SECURITY);
    /// The subject claim of an assertion.
    "sasl.oauthbearer.assertion.claim.sub" String, ignored(SECURITY);
    /// The file of an assertion that was signed elsewhere.
    "sasl.oauthbearer.assertion.file" String, ignored(SECURITY);
    /// The file of the key that signs assertions.
    "sasl.oauthbearer.assertion.private.key.file" String, ignored(SECURITY);
    /// The passphrase of the key that signs assertions.
    "sasl.oauthbearer.assertion.private.key.passphrase" Password, ignored(SECURITY);
    /// The file with further claims and headers of an assertion.
    "sasl.oauthbearer.assertion.template.file" String, ignored(SECURITY);
    /// The claim that holds a token's scope.
    "sasl.oauthbearer.scope.claim.name" String = "scope", ignored(SECURITY);
    /// The claim that holds a token's subject.
    "sasl.oauthbearer.sub.claim.name" String = "sub", ignored(SECURITY);
    /// Where tokens are fetched.
    "sasl.oauthbearer.token.endpoint.url" String, ignored(SECURITY);
    /// Where the keys that verify tokens are fetched.
    "sasl.oauthbearer.jwks.endpoint.url" String, ignored(SECURITY);
    /// How often the keys that verify tokens are fetched anew.
    "sasl.oauthbearer.jwks.endpoint.refresh.ms" Long = "3600000", ignored(SECURITY);
    /// The first wait before the keys are asked for again.
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms" Long = "100", ignored(SECURITY);
    /// The longest wait before the keys are asked for again.
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms" Long = "10000", ignored(SECURITY);
    /// How far the clocks of broker and identity provider may differ.
    "sasl.oauthbearer.clock.skew.seconds" Int = "30", ignored(SECURITY);
    /// The audiences of which a token must carry one.
    "sasl.oauthbearer.expected.audience" List = "", any_list, ignored(SECURITY);
    /// The issuer a token must carry.
    "sasl.oauthbearer.expected.issuer" String, ignored(SECURITY);
    /// The secret that signs delegation tokens.
    "delegation.token.secret.key" Password, ignored(SECURITY);
    /// How long a delegation token can be renewed.
    "delegation.token.max.lifetime.ms" Long = "604800000", at_least(1), ignored(SECURITY);
    /// How long a delegation token holds without renewal.
    "delegation.token.expiry.time.ms" Long = "86400000", at_least(1), ignored(SECURITY);
    /// How often expired delegation tokens are removed.
    "delegation.token.expiry.check.interval.ms" Long = "3600000", at_least(1), ignored(SECURITY);
}
