//! The process that fetches, on its own: for this crate's tests. In `airside` it is a hidden command.

fn main() -> std::process::ExitCode {
    fetcher::main()
}
