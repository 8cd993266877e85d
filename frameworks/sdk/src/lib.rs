//! Schedulers and executors as actors.
