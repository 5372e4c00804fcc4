//! `trm-host ros2` of a program that was built without it: says how to get it.

use anyhow::bail;

/// Whatever the node would take.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    _arguments: Vec<std::ffi::OsString>,
}

/// Refuses.
pub(crate) fn run(_: &Args) -> anyhow::Result<()> {
    bail!(
        "this trm-host was built without the node of ROS 2\nhint: cargo install --path firmware-host --features ros2; the Debian \
         packages have it"
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use trm_cli::Exit;

    use super::*;
    use crate::failure;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn whatever_it_is_asked_it_says_how_to_get_the_node() {
        for arguments in [&["trm-host"][..], &["trm-host", "--radius", "0.22"], &["trm-host", "--help"]] {
            let program = Program::try_parse_from(arguments).unwrap();
            let error = run(&program.args).unwrap_err();
            let said = error.to_string();
            assert!(said.contains("hint: cargo install --path firmware-host --features ros2"), "{said}");
            assert_eq!(failure::report(&error), Exit::BadInput);
        }
    }
}
