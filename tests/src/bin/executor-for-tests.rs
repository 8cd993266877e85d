//! The executor of command tasks as a program of its own: the stories of the agent start it in place of `airside executor`.

fn main() -> std::process::ExitCode {
    executor::main()
}
