//! The runtime that openraft runs on: tokio's, with a generator of ours.
//!
//! openraft asks for time and randomness by functions that know no object. So the generator lies
//! in the thread: a controller has one of its own, and everything of its openraft runs there.
//! Time is tokio's, which stands still where a simulator stops it. One seed gives one run.

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use openraft::async_runtime::TokioOneShotSender;
use openraft::{AsyncRuntime, OptionalSend, TokioInstant, TokioRuntime};
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};

thread_local! {
    static GENERATOR: RefCell<StdRng> = RefCell::new(StdRng::seed_from_u64(0));
}

/// Gives the generator of this thread its seed.
pub(crate) fn seed(seed: u64) {
    GENERATOR.with_borrow_mut(|generator| *generator = StdRng::seed_from_u64(seed));
}

/// The generator of the thread it is asked in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Generator;

impl rand_core::RngCore for Generator {
    fn next_u32(&mut self) -> u32 {
        GENERATOR.with_borrow_mut(RngCore::next_u32)
    }

    fn next_u64(&mut self) -> u64 {
        GENERATOR.with_borrow_mut(RngCore::next_u64)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        GENERATOR.with_borrow_mut(|generator| generator.fill_bytes(bytes));
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

/// See the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Runtime;

impl AsyncRuntime for Runtime {
    type JoinError = tokio::task::JoinError;
    type JoinHandle<T: OptionalSend + 'static> = tokio::task::JoinHandle<T>;
    type Sleep = tokio::time::Sleep;
    type Instant = TokioInstant;
    type TimeoutError = tokio::time::error::Elapsed;
    type Timeout<R, T: Future<Output = R> + OptionalSend> = tokio::time::Timeout<T>;
    type ThreadLocalRng = Generator;
    type OneshotSender<T: OptionalSend> = TokioOneShotSender<T>;
    type OneshotReceiver<T: OptionalSend> = tokio::sync::oneshot::Receiver<T>;
    type OneshotReceiverError = tokio::sync::oneshot::error::RecvError;

    fn spawn<T>(future: T) -> Self::JoinHandle<T::Output>
    where
        T: Future + OptionalSend + 'static,
        T::Output: OptionalSend + 'static,
    {
        TokioRuntime::spawn(future)
    }

    fn sleep(duration: Duration) -> Self::Sleep {
        TokioRuntime::sleep(duration)
    }

    fn sleep_until(deadline: Self::Instant) -> Self::Sleep {
        TokioRuntime::sleep_until(deadline)
    }

    fn timeout<R, F: Future<Output = R> + OptionalSend>(
        duration: Duration,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout(duration, future)
    }

    fn timeout_at<R, F: Future<Output = R> + OptionalSend>(
        deadline: Self::Instant,
        future: F,
    ) -> Self::Timeout<R, F> {
        TokioRuntime::timeout_at(deadline, future)
    }

    fn is_panic(join_error: &Self::JoinError) -> bool {
        TokioRuntime::is_panic(join_error)
    }

    fn thread_rng() -> Generator {
        Generator
    }

    fn oneshot<T>() -> (Self::OneshotSender<T>, Self::OneshotReceiver<T>)
    where
        T: OptionalSend,
    {
        TokioRuntime::oneshot()
    }
}

#[cfg(test)]
mod tests {
    use rand_core::RngCore as _;

    use super::*;

    fn drawn() -> Vec<u64> {
        let mut bytes = [0; 4];
        Runtime::thread_rng().fill_bytes(&mut bytes);
        let mut numbers: Vec<u64> = bytes.map(u64::from).into();
        numbers.push(Runtime::thread_rng().next_u64());
        numbers.push(u64::from(Runtime::thread_rng().next_u32()));
        numbers
    }

    #[test]
    fn one_seed_gives_one_run() {
        seed(7);
        let first = drawn();
        assert_ne!(drawn(), first);
        seed(7);
        assert_eq!(drawn(), first);
        seed(8);
        assert_ne!(drawn(), first);
    }
}
