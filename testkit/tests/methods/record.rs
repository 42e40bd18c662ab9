//! What the host and the holders have of all that happened.

use crate::common::search::{Haystack, Needle};
use crate::world::World;

/// In what the host carries, keeps and logs, and in what every party keeps and logs.
pub(crate) async fn nothing_of_it_all_is_in_the_clear(world: &World) {
    let mut needles = world.needles();
    let mails = world.system.mailbox().all().unwrap();
    let codes: Vec<_> = mails.iter().filter_map(|mail| mail.code()).collect();
    assert!(codes.len() >= 10, "there should be codes to look for");
    for code in codes {
        needles.push(Needle::new("a code", code.as_bytes()));
    }
    let companies = world.companies.iter().map(|(_, provider)| provider);
    let mut tokens = 0;
    for provider in [&world.idp, &world.own].into_iter().chain(companies) {
        for token in provider.given().await.unwrap() {
            tokens += 1;
            // Signatures by themselves, too; a header says nothing.
            let parts: Vec<_> = token.split('.').collect();
            let parts = if parts.len() == 3 {
                &parts[1..]
            } else {
                &parts[..]
            };
            for part in parts.iter().filter(|part| part.len() >= 16) {
                needles.push(Needle::new("a provider's token", part.as_bytes()));
            }
        }
    }
    assert!(tokens >= 40, "there should be tokens to look for");

    let files = world.system.files();
    let mut folders = vec![
        files.traffic(),
        files.logs(),
        files.gateway(),
        files.guard(),
        files.relayer(),
    ];
    folders.extend((0..3).map(|number| files.holder(number)));
    let everything = Haystack::of(&folders);
    assert!(
        everything.bytes() > 1_000_000,
        "that is too little to be everything"
    );
    let found = everything.find(&needles);
    assert!(found.is_empty(), "found:\n{}", found.join("\n"));

    // The same search finds what is known to be there.
    let sees = |text: &str, folder| {
        let needle = Needle::new(text, text.as_bytes());
        !Haystack::of(&[folder]).find(&[needle]).is_empty()
    };
    assert!(
        sees("idp.example.test", files.traffic()),
        "the host is told where to connect to"
    );
    assert!(sees("/v1/ohttp", files.traffic()), "the search is blind");
    assert!(sees("holder", files.logs()), "the search is blind");
}
