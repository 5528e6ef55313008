//! Tenant files as operators write them, right and wrong.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sanderling_core::{HostName, Tenant};
use sanderling_registry::tenants::{load, load_for};
use sanderling_registry::{HostKind, RegistryError, Tenants};
use tempfile::TempDir;

fn write(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn hosts() -> BTreeSet<HostName> {
    ["eu1", "us1", "files"].map(HostName::new).into()
}

fn read(dir: &Path) -> Result<Tenants, RegistryError> {
    load(dir, &["*.*".to_owned()], &hosts())
}

fn good(files: &[(&str, &str)]) -> Vec<Tenant> {
    let dir = write(files);
    read(dir.path()).unwrap().tenants
}

/// The error's text, with the directory taken away.
fn bad(files: &[(&str, &str)]) -> String {
    let dir = write(files);
    let text = read(dir.path()).unwrap_err().to_string();
    text.replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn csv_rows_become_tenants_with_labels() {
    let tenants = good(&[(
        "a.csv",
        "id,host,schema,file,size,plan,note\n\
         acme,eu1,acme_s,,1024,pro,\"a, \"\"b\"\"\"\n\
         umlaut-ü,files,,./t//ü.db,,,\n",
    )]);
    assert_eq!(tenants.len(), 2);
    assert_eq!(tenants[0].place.to_string(), "eu1/acme_s");
    assert_eq!(tenants[0].size, Some(1024));
    assert_eq!(tenants[0].labels["note"], "a, \"b\"");
    assert_eq!(tenants[1].place.to_string(), "files/t/ü.db");
    assert!(tenants[1].labels.is_empty() && tenants[1].size.is_none());
}

#[test]
fn yaml_and_json_say_the_same() {
    let yaml = good(&[(
        "a.yaml",
        "# EU\n- id: acme\n  host: eu1\n  schema: 0042\n  size: 12\n  labels:\n    plan: pro\n    legacy: no\n    empty: ''\n    none:\n",
    )]);
    let json = good(&[(
        "a.json",
        r#"[{"id": "acme", "host": "eu1", "schema": "0042", "size": 12, "labels": {"plan": "pro", "legacy": "no", "none": null}}]"#,
    )]);
    assert_eq!(yaml, json);
    assert_eq!(yaml[0].place.schema.as_deref(), Some("0042"));
    assert_eq!(yaml[0].labels.len(), 2);
}

#[test]
fn hostile_names_survive_untouched() {
    let tenants = good(&[
        (
            "a.csv",
            "id,host,schema\n\"x\"\"; DROP\",eu1,\"a\"\"; DROP SCHEMA x; --\"\n",
        ),
        (
            "b.yaml",
            "- {id: '${HOME} {{x}}', host: eu1, schema: \"mañana 🐦\"}\n",
        ),
    ]);
    assert_eq!(tenants[0].id.as_str(), "x\"; DROP");
    assert_eq!(
        tenants[0].place.schema.as_deref(),
        Some("a\"; DROP SCHEMA x; --")
    );
    assert_eq!(tenants[1].place.schema.as_deref(), Some("mañana 🐦"));
}

#[test]
fn every_problem_is_listed_with_its_place() {
    let text = bad(&[(
        "a.csv",
        "id,host,schema,file,size\n\
         ok,eu1,ok,,\n\
         ,eu1,x,,\n\
         nohost,,y,,\n\
         typo,eu2,z,,\n\
         both,eu1,b,b.db,\n\
         none,eu1,,,\n\
         up,files,,../../etc/passwd,\n\
         abs,files,,/etc/passwd,\n\
         big,eu1,big,,12MB\n\
         short,eu1\n",
    )]);
    let expected = [
        "a.csv:3: a tenant without `id`",
        "a.csv:4: tenant \"nohost\": has no `host` and no `url`",
        "a.csv:5: tenant \"typo\": unknown host \"eu2\"; did you mean \"eu1\"?",
        "a.csv:6: tenant \"both\": has both `schema` and `file`; a tenant lives in one place",
        "a.csv:7: tenant \"none\": has neither `schema` nor `database` (PostgreSQL) nor `file` (SQLite)",
        "a.csv:8: tenant \"up\": file \"../../etc/passwd\" leaves the host's directory: remove `..`",
        "a.csv:9: tenant \"abs\": file \"/etc/passwd\" must be relative to the host's directory",
        "a.csv:10: tenant \"big\": size \"12MB\" is not a whole number of bytes",
        "a.csv:11: tenant \"short\": has 2 cells where the first line names 5 columns; is a comma missing, a quote not closed, or a cell with a comma not quoted?",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn names_that_a_server_would_cut_or_refuse_are_refused() {
    let long = "é".repeat(32);
    let id = "i".repeat(129);
    let text = bad(&[(
        "a.csv",
        &format!(
            "id,host,schema,database\na,eu1,{long},\nb,eu1,n\0l,\nc,eu1,pg_x,\nd,eu1,sanderling,\n{id},eu1,e,\nf\u{202e},eu1,f,\ng ,eu1,g,\nh,eu1,,template1\n"
        ),
    )]);
    for (line, part) in text.lines().zip([
        "has 64 bytes, and PostgreSQL would cut it to 63",
        "the schema name contains a NUL",
        "\"pg_x\" belongs to PostgreSQL",
        "\"sanderling\" belongs to Sanderling",
        "the id has 129 characters",
        "unprintable character U+202E",
        "begins or ends with a space",
        "database \"template1\" is what PostgreSQL makes databases from",
    ]) {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(text.lines().count(), 8);
}

#[test]
fn twins_name_both_places() {
    let text = bad(&[
        (
            "a.csv",
            "id,host,schema,file\nacme,eu1,one,\nbeta,eu1,two,\nf1,files,,x/a.db\n",
        ),
        (
            "b.yaml",
            "- {id: acme, host: us1, schema: one}\n- id: gamma\n  host: eu1\n  schema: two\n- {id: f2, host: files, file: ./x//a.db}\n",
        ),
    ]);
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "b.yaml:1:3: tenant \"acme\": the id is used twice; first at a.csv:2",
            "b.yaml:2:3: tenant \"gamma\": lives at eu1/two, and so does tenant \"beta\" at a.csv:3; one place holds one tenant",
            "b.yaml:5:3: tenant \"f2\": lives at files/x/a.db, and so does tenant \"f1\" at a.csv:4; one place holds one tenant",
        ]
    );
}

#[test]
fn the_kind_of_host_decides_what_fits_and_what_is_the_default_database() {
    let server = HostKind::Server {
        database: Some("app".into()),
        address: None,
    };
    let kinds: BTreeMap<_, _> = [
        (HostName::new("eu1"), server),
        (HostName::new("files"), HostKind::Directory),
    ]
    .into();
    let dir = write(&[(
        "a.csv",
        "id,host,database,schema,file\na,eu1,,s,\nb,eu1,app,s,\nc,eu1,other,s,\nd,files,,s,\ne,eu1,,,f.db\ng,files,db,,\n",
    )]);
    let text = load_for(dir.path(), &["*.csv".into()], &kinds)
        .unwrap_err()
        .to_string();
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.contains("\"g\": names a `database`, but its host is a directory"));
    assert!(text.contains("\"d\": names a `schema`, but its host is a directory"));
    assert!(text.contains("\"e\": names a `file`, but its host is a database server"));
    assert!(text.contains("\"b\": lives at eu1/app/s, and so does tenant \"a\""));
}

#[test]
fn a_database_and_its_schema_public_are_one_place() {
    let server = HostKind::Server {
        database: Some("app".into()),
        address: None,
    };
    let kinds: BTreeMap<_, _> = [(HostName::new("eu1"), server)].into();
    let rows = "id,host,database,schema\na,eu1,one,\nb,eu1,two,\nc,eu1,one,s\n";
    let dir = write(&[("a.csv", rows)]);
    let read = load_for(dir.path(), &["*.csv".into()], &kinds).unwrap();
    let places: Vec<_> = read.tenants.iter().map(|t| t.place.to_string()).collect();
    assert_eq!(places, ["eu1/one", "eu1/two", "eu1/one/s"]);

    let more = format!("{rows}d,eu1,one,public\ne,eu1,two,\nf,eu1,,public\ng,eu1,app,\n");
    let dir = write(&[("a.csv", &more)]);
    let text = load_for(dir.path(), &["*.csv".into()], &kinds)
        .unwrap_err()
        .to_string();
    let text = text.replace(&format!("{}/", dir.path().display()), "");
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "a.csv:5: tenant \"d\": lives at eu1/one/public, and so does tenant \"a\" at a.csv:2 (written as eu1/one, which is the same place); one place holds one tenant",
            "a.csv:6: tenant \"e\": lives at eu1/two, and so does tenant \"b\" at a.csv:3; one place holds one tenant",
            "a.csv:8: tenant \"g\": lives at eu1/app, and so does tenant \"f\" at a.csv:7 (written as eu1/public, which is the same place); one place holds one tenant",
        ]
    );
}

#[test]
fn headers_are_checked() {
    assert!(
        bad(&[("a.csv", "id;host;schema\na;eu1;x\n")])
            .contains("a.csv:1: columns are separated by ';'")
    );
    assert!(bad(&[("a.csv", "name,host\na,eu1\n")]).contains("has no column `id`"));
    assert!(
        bad(&[("a.csv", "id,id,host,schema\na,a,eu1,x\n")]).contains("column \"id\" appears twice")
    );
    assert!(
        bad(&[("a.csv", "id,host,Schema\na,eu1,x\n")])
            .contains("column \"Schema\": write `schema`")
    );
    assert!(
        bad(&[("a.csv", "id,schema\na,x\n")]).contains("has no column `host` and no column `url`")
    );
    assert!(
        bad(&[("a.csv", "id,host,schema,a=b\na,eu1,x,1\n")])
            .contains("which selectors cannot express")
    );
    assert!(bad(&[("a.csv", "")]).contains("is empty"));
    assert!(bad(&[("a.txt", "hello")]).contains("a.txt: is not a tenant file"));
    let bom = good(&[("a.csv", "\u{feff}id, host ,schema\r\na,eu1,x\r\n")]);
    assert_eq!(bom[0].id.as_str(), "a");
}

#[test]
fn a_misspelt_column_is_a_label_with_a_note() {
    let dir = write(&[
        ("a.csv", "id,host,schema,fiel\na,eu1,x,1\n"),
        ("b.csv", "id,host\n"),
    ]);
    let read = read(dir.path()).unwrap();
    assert_eq!(read.tenants[0].labels["fiel"], "1");
    assert!(
        read.notes[0]
            .ends_with("a.csv:1: column \"fiel\" is taken as a label; did you mean `file`?")
    );
    assert!(read.notes[1].ends_with("b.csv: has no tenants"));
    let text = bad(&[("a.csv", "id,host,shema\na,eu1,x\n")]);
    assert!(
        text.contains("has neither") && text.contains("\nnote: a.csv:1: column \"shema\""),
        "{text}"
    );
}

#[test]
fn yaml_keys_are_strict_and_labels_are_checked() {
    let text = bad(&[(
        "a.yaml",
        "- id: a\n  host: eu1\n  shema: x\n  plan: pro\n- id: b\n  host: eu1\n  schema: b\n  labels:\n    host: x\n- {id: c, url: 'postgres://x'}\n",
    )]);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(
        lines[0]
            .starts_with("a.yaml:3:3: tenant \"a\": unknown key \"shema\"; did you mean `schema`?")
    );
    assert!(
        lines[1].starts_with("a.yaml:4:3: tenant \"a\": unknown key \"plan\"; if it is a label")
    );
    assert!(lines[2].starts_with("a.yaml:9:11: tenant \"b\": a label cannot be called \"host\""));
    assert!(lines[3].contains("its `url` names no database"));
}

#[test]
fn broken_files_say_where() {
    assert!(bad(&[("a.yaml", "- id: a\n  host: [\n")]).starts_with("a.yaml:"));
    assert!(bad(&[("a.yaml", "id: a\nhost: eu1\n")]).contains("a tenant file is a list"));
    assert!(bad(&[("a.yaml", "- id: a\n  id: b\n  host: eu1\n")]).starts_with("a.yaml:2:3: "));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.csv"), b"id,host,schema\nb\xff,eu1,x\n").unwrap();
    assert!(
        read(dir.path())
            .unwrap_err()
            .to_string()
            .contains("a.csv:2: is not UTF-8")
    );
}

#[test]
fn patterns_must_match() {
    let dir = write(&[]);
    let text = load(dir.path(), &["t/*.csv".into()], &hosts())
        .unwrap_err()
        .to_string();
    assert!(text.contains("cannot read directory"), "{text}");
    let text = load(dir.path(), &[], &hosts()).unwrap_err().to_string();
    assert!(text.contains("no tenant files are configured"), "{text}");
}

#[test]
fn a_large_registry_is_read_whole() {
    let mut csv = String::from("id,host,schema,size,plan,region\n");
    for n in 0..200_000 {
        csv.push_str(&format!("tenant-{n},eu1,t_{n},{n},pro,eu\n"));
    }
    let yaml: String = (0..15_000)
        .map(|n| format!("- {{id: y{n}, host: us1, schema: y{n}, labels: {{plan: pro}}}}\n"))
        .collect();
    let tenants = good(&[("a.csv", &csv), ("b.yaml", &yaml)]);
    assert_eq!(tenants.len(), 215_000);
    assert_eq!(tenants[199_999].id.as_str(), "tenant-199999");
}
