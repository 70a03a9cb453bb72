//! `discover` where a server holds the tables and Kafka the catalog.

use crate::{Place, bench};

const CHECKOUT: &str = "# ours\n[[services]]\nname = \"checkout\"\n";
const CART: &str = "# theirs\n[[services]]\nname = \"cart\"\n";
const SEARCH: &str = "apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: search\nspec:\n  \
    type: service\n  lifecycle: production\n  owner: group:finders\n";

#[test]
fn the_catalog_that_counts_is_added_to_as_run_finds_it() {
    let Some(bench) = bench() else { return };
    let place = Place::new(&bench, "proposing");
    bench.database("proposing");
    crate::support::make_topics(&place.settings, 1);
    let folder = place.folder.path();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("catalog-info.yaml", SEARCH);
    let discover = ["discover", "--backstage", "catalog-info.yaml"];
    let says = [
        "there is no catalog: none is published, and the configuration names none",
        "as in --catalog catalog.toml",
    ];
    place.expect(2, &discover, &says);

    // None is published: the configuration's file would be by the first run.
    write("checkout.toml", CHECKOUT);
    place.configure(bench.url(), "catalog = \"checkout.toml\"");
    let added = "+name = \"search\"";
    let checkout = ["--- a/checkout.toml", " name = \"checkout\"", added];
    place.expect(0, &discover, &checkout);

    // Now another one counts, whatever the file says.
    write("cart.toml", CART);
    place.expect(0, &["catalog", "apply", "cart.toml"], &[]);
    let says =
        ["--- a/cart.toml", " name = \"cart\"", added, "checkout.toml differs from the catalog that counts"];
    let text = place.expect(0, &discover, &says);
    assert!(!text.contains("name = \"checkout\""), "{text}");
    let written = [&discover[..], &["--write"]].concat();
    place.expect(0, &written, &["cart.toml: written"]);
    place.expect(2, &written, &["cart.toml is not the catalog that counts"]);

    // A file that the command line names is the one that is meant.
    place.expect(0, &[&discover[..], &["--catalog", "checkout.toml"]].concat(), &checkout);

    // The same text under the name that the configuration has for it.
    write("checkout.toml", CART);
    let says = ["checkout.toml\n", " name = \"cart\"", added];
    place.expect(0, &discover, &says);

    // Without Kafka the configuration's file is all there is.
    let of_server = |catalog: &str| {
        let text = format!("{catalog}\n[clickhouse]\nurl = {:?}\ndatabase = \"proposing\"\n", bench.url());
        write("c.toml", &text);
    };
    of_server("catalog = \"checkout.toml\"");
    place.expect(0, &discover, &says);
    of_server("");
    place.expect(2, &discover, &["there is no catalog: the configuration names none"]);
}
