//! SCRAM credentials of users.
//!
//! Invariant: a password never leaves this program; what is sent is its salted hash (RFC 5802).

use protocol::ErrorCode;
use protocol::messages::{
    AlterUserScramCredentialsRequest, DescribeUserScramCredentialsRequest,
    alter_user_scram_credentials_request, describe_user_scram_credentials_request,
};
use rand::RngCore;
use sha2::{Sha256, Sha512};

use super::text;
use crate::client::{Client, Target};
use crate::failure::Failure;

/// As many bytes of salt as upstream takes.
const SALT_BYTES: usize = 32;
/// Below this many rounds no credential is taken.
pub const ITERATIONS_MIN: i32 = 4096;

/// A way to hash a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    Sha256 = 1,
    Sha512 = 2,
}

impl Mechanism {
    /// The mechanism of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "SCRAM-SHA-256" => Some(Mechanism::Sha256),
            "SCRAM-SHA-512" => Some(Mechanism::Sha512),
            _ => None,
        }
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Sha256 => "SCRAM-SHA-256",
            Mechanism::Sha512 => "SCRAM-SHA-512",
        }
    }

    fn salted(self, password: &[u8], salt: &[u8], iterations: i32) -> Vec<u8> {
        let rounds = u32::try_from(iterations).unwrap_or_default();
        match self {
            Mechanism::Sha256 => {
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, rounds).to_vec()
            }
            Mechanism::Sha512 => {
                pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password, salt, rounds).to_vec()
            }
        }
    }
}

/// A credential that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub mechanism: Mechanism,
    pub iterations: i32,
    pub password: String,
}

/// A user's mechanisms with their rounds, or why they cannot be told.
pub type Described = (String, Result<Vec<(i8, i32)>, Failure>);

/// The credentials of these users, of all where none is named; who has none is left out.
pub async fn describe(client: &Client, users: &[String]) -> Result<Vec<Described>, Failure> {
    let rows = users.iter().map(|user| {
        describe_user_scram_credentials_request::UserName::default().with_name(text(user))
    });
    let request = DescribeUserScramCredentialsRequest::default().with_users(Some(rows.collect()));
    let answer = client
        .call(
            "describeUserScramCredentials",
            Target::Any,
            |_| Ok(request.clone()),
            |answer| match Failure::from_answer(answer.error_code, answer.error_message.as_deref())
            {
                Some(failure) => Err(failure),
                None => Ok(answer.results),
            },
        )
        .await?;
    let described = answer.into_iter().filter_map(|row| {
        let user = row.user.to_string();
        match Failure::from_answer(row.error_code, row.error_message.as_deref()) {
            Some(failure) if failure.is(ErrorCode::ResourceNotFound) => None,
            Some(failure) => Some((user, Err(failure))),
            None => {
                let infos = row.credential_infos.into_iter();
                let infos = infos.map(|info| (info.mechanism, info.iterations));
                Some((user, Ok(infos.collect())))
            }
        }
    });
    Ok(described.collect())
}

/// Sets and deletes credentials of one user.
pub async fn alter(
    client: &Client,
    user: &str,
    credentials: &[Credential],
    deletions: &[Mechanism],
) -> Result<(), Failure> {
    let upsertions = credentials.iter().map(|credential| {
        let mut salt = [0; SALT_BYTES];
        rand::rng().fill_bytes(&mut salt);
        let Credential {
            mechanism,
            iterations,
            password,
        } = credential;
        let salted = mechanism.salted(password.as_bytes(), &salt, *iterations);
        alter_user_scram_credentials_request::ScramCredentialUpsertion::default()
            .with_name(text(user))
            .with_mechanism(*mechanism as i8)
            .with_iterations(*iterations)
            .with_salt(salt.to_vec().into())
            .with_salted_password(salted.into())
    });
    let deletions = deletions.iter().map(|mechanism| {
        alter_user_scram_credentials_request::ScramCredentialDeletion::default()
            .with_name(text(user))
            .with_mechanism(*mechanism as i8)
    });
    let request = AlterUserScramCredentialsRequest::default()
        .with_upsertions(upsertions.collect())
        .with_deletions(deletions.collect());
    client
        .call(
            "alterUserScramCredentials",
            Target::Controller,
            |_| Ok(request.clone()),
            |answer| {
                let rows = answer.results.iter();
                let failed = rows
                    .filter_map(|row| {
                        Failure::from_answer(row.error_code, row.error_message.as_deref())
                    })
                    .next();
                failed.map_or(Ok(()), Err)
            },
        )
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_salted_as_in_rfc_7677() {
        // The salt "W22ZaJ0SNY7soEsUEjb6gQ==" and password "pencil" of the RFC's example.
        let salt = [
            0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e, 0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36,
            0xfa, 0x81,
        ];
        let salted = Mechanism::Sha256.salted(b"pencil", &salt, 4096);
        // hashlib.pbkdf2_hmac("sha256", b"pencil", salt, 4096) in Python.
        assert_eq!(
            hex(&salted),
            "c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d"
        );
        let salted = Mechanism::Sha512.salted(b"pencil", &salt, 4096);
        assert_eq!(
            hex(&salted),
            "f16efe1be67f1d09502ebd5ed9262fddffba5a377ab4f0b687e5ed5ba0f50686b8a4ae166476da8ab3b951d2fa9238b63998f45461bc33a464814949cec9631d"
        );
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
