//! Examples made ahead of time on other threads, handed out in the order of their numbers.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::{Stream, TrainExample};
use crate::{Result, TrainError};

/// State that the threads share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    depth: u64,
}

#[derive(Debug)]
struct State {
    ready: BTreeMap<u64, Result<TrainExample>>,
    /// The number that the next free thread takes.
    claim: u64,
    /// The number that is handed out next.
    next: u64,
    stop: bool,
    /// A thread has panicked: its example will never come.
    died: bool,
}

/// Threads that stay up to `depth` examples ahead. Dropping it ends them.
#[derive(Debug)]
pub struct Prefetch {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Says so when its thread ends by a panic.
struct Alarm<'a>(&'a Shared);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().died = true;
            self.0.changed.notify_all();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, stream: &Stream) {
        let _alarm = Alarm(self);
        loop {
            let mut state = self.lock();
            while !state.stop && state.claim >= state.next + self.depth {
                state = self.wait(state);
            }
            if state.stop {
                return;
            }
            let index = state.claim;
            state.claim += 1;
            drop(state);
            let example = stream.example(index);
            self.lock().ready.insert(index, example);
            self.changed.notify_all();
        }
    }
}

impl Prefetch {
    /// Starts at example `next` with at least one thread and a depth of at least one.
    ///
    /// # Errors
    ///
    /// [`TrainError::File`] if a thread cannot be started.
    pub fn start(stream: &Arc<Stream>, next: u64, threads: usize, depth: usize) -> Result<Self> {
        let state = State { ready: BTreeMap::new(), claim: next, next, stop: false, died: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), depth: depth.max(1) as u64 });
        let mut prefetch = Self { shared, threads: Vec::new() };
        for number in 0..threads.max(1) {
            let (shared, stream) = (Arc::clone(&prefetch.shared), Arc::clone(stream));
            let thread = std::thread::Builder::new()
                .name(format!("examples-{number}"))
                .spawn(move || shared.work(&stream))
                .map_err(TrainError::io("start a thread for", "examples"))?;
            prefetch.threads.push(thread);
        }
        Ok(prefetch)
    }

    /// Waits for the next example, and returns it with its number.
    ///
    /// # Errors
    ///
    /// Those of [`Stream::example`], in the example's turn; [`TrainError::TrainData`] if a thread has panicked.
    #[expect(clippy::should_implement_trait, reason = "it never ends, and an error is no end")]
    pub fn next(&mut self) -> Result<(u64, TrainExample)> {
        let mut state = self.shared.lock();
        loop {
            let index = state.next;
            if let Some(example) = state.ready.remove(&index) {
                state.next += 1;
                drop(state);
                self.shared.changed.notify_all();
                return example.map(|example| (index, example));
            }
            if state.died {
                return Err(TrainError::TrainData {
                    origin: format!("example {index}"),
                    reason: "the thread that made it failed".to_owned(),
                    hint: "its message is above; this is an error of the program".to_owned(),
                });
            }
            state = self.shared.wait(state);
        }
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // It has said why it failed.
            let _ = thread.join();
        }
    }
}
