//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Keeps one share of each key, and decides by itself when to release it.
#[derive(Debug, Parser)]
#[command(
    name = "keyfold-holder",
    version,
    after_help = "\
Examples:
  Make a holder, and send its card to whoever plans the realm:
    keyfold-holder init --dir /var/lib/keyfold-holder --name h1 --party \"Example Ltd\" \\
        --region eu-north --address h1.example:7101 > h1.card.json
  Approve an enclave image by adding its measurements to measurements.json, then run:
    keyfold-holder run --dir /var/lib/keyfold-holder
  Check the whole log against its signed checkpoint:
    keyfold-holder status --dir /var/lib/keyfold-holder"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a folder with keys and configuration, and print the holder's card.
    #[command(after_help = "\
Example:
  keyfold-holder init --dir ./h1 --name h1 --party \"Example Ltd\" --region eu-north \\
      --address h1.example:7101 --listen 0.0.0.0:7101

Keep a copy of master.key elsewhere: without it the shares in the database are lost.")]
    Init(Init),
    /// Run the holder until it is asked to end (SIGTERM or SIGINT).
    #[command(after_help = "\
Example:
  KEYFOLD_LOG=info keyfold-holder run --dir ./h1")]
    Run(Folder),
    /// Print the holder's card: what a realm record says of it.
    #[command(after_help = "\
Example:
  keyfold-holder card --dir ./h1 > h1.card.json")]
    Card(Folder),
    /// Check the holder's log and print its state, running or not.
    #[command(after_help = "\
Example:
  keyfold-holder status --dir ./h1")]
    Status(Folder),
    /// Look at a warrant for maintenance, or sign it as this holder's operator.
    #[command(
        subcommand,
        after_help = "\
Example:
  keyfold-holder warrant show --dir ./h1 warrant.json
  keyfold-holder warrant sign --dir ./h1 warrant.json

Under a warrant that the operators of t holders signed, one enclave image may make new shares of every
key while its owner is away. Sign it if you know who asks for it and why; pass the file on to the next."
    )]
    Warrant(Warrant),
}

/// What to do with a warrant.
#[derive(Debug, Subcommand)]
pub(crate) enum Warrant {
    /// Print what it allows, and who has signed it.
    Show(WarrantFile),
    /// Check it, and put this holder's signature into the file.
    Sign(WarrantFile),
}

/// A warrant, and who looks at it.
#[derive(Debug, Args)]
pub(crate) struct WarrantFile {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// The warrant, as `keyfold holders warrant` made it.
    pub(crate) file: PathBuf,
}

/// Where the holder lives.
#[derive(Debug, Args)]
pub(crate) struct Folder {
    /// The holder's folder, as `init` made it.
    #[arg(long, env = "KEYFOLD_HOLDER_DIR")]
    pub(crate) dir: PathBuf,
}

/// What the card of a new holder says.
#[derive(Debug, Args)]
pub(crate) struct Init {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// Short name: letters, digits, dots and hyphens.
    #[arg(long)]
    pub(crate) name: String,
    /// The party that runs the holder.
    #[arg(long)]
    pub(crate) party: String,
    /// Where it stands.
    #[arg(long)]
    pub(crate) region: String,
    /// `host:port` under which enclaves reach it. It becomes part of the realm record.
    #[arg(long)]
    pub(crate) address: String,
    /// Where it listens.
    #[arg(long, default_value = "0.0.0.0:7101")]
    pub(crate) listen: SocketAddr,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
