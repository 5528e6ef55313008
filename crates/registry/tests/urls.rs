//! Tenants that bring their server along: rows with a `url`, and hosts whose URL is a template.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::collections::BTreeMap;

use sanderling_core::HostName;
use sanderling_registry::tenants::load_for;
use sanderling_registry::{HostKind, RegistryError, Tenants, UrlTemplate};

fn kinds() -> BTreeMap<HostName, HostKind> {
    let template = |text| HostKind::Template(UrlTemplate::parse(text).unwrap().unwrap());
    let server = HostKind::Server {
        database: Some("app".into()),
        address: Some("db:5432".into()),
    };
    [
        ("eu1", server),
        (
            "shards",
            template("postgres://m:${PW_{{label.shard}}}@{{label.shard}}.db:6432/app"),
        ),
        ("own", template("postgres://m:${PW}@db/{{database}}")),
    ]
    .map(|(name, kind)| (HostName::new(name), kind))
    .into()
}

fn read(files: &[(&str, &str)]) -> Result<Tenants, RegistryError> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let read = load_for(dir.path(), &["*.*".into()], &kinds());
    let here = format!("{}/", dir.path().display());
    read.map_err(|mut error| {
        for problem in &mut error.problems {
            problem.at = problem.at.replace(&here, "");
            problem.message = problem.message.replace(&here, "");
        }
        error
    })
}

fn bad(text: &str) -> String {
    read(&[("a.csv", text)]).unwrap_err().to_string()
}

fn places(read: &Tenants) -> Vec<String> {
    read.tenants.iter().map(|t| t.place.to_string()).collect()
}

fn hosts(read: &Tenants) -> Vec<(&str, &str, Option<&str>)> {
    read.hosts
        .iter()
        .map(|host| {
            let of = host.of.as_ref().map(HostName::as_str);
            (host.name.as_str(), host.url.as_str(), of)
        })
        .collect()
}

#[test]
fn a_row_with_a_url_belongs_to_a_host_of_its_own() {
    let csv = "id,url,database,schema,plan\n\
        a,postgres://u:${PW}@US1.example/acme,,,pro\n\
        b,postgresql://u:${PW}@us1.example:5432/shared,,b,\n\
        c,postgres://u:${PW}@us1.example,c,,\n\
        d,postgres://u@us1.example:6000/d,,,\n";
    let yaml = "- {id: y, url: 'postgres://u:${PW}@us1.example/y'}\n";
    let json =
        r#"[{"id": "j", "url": "postgres://u:${PW}@us1.example/j", "labels": {"plan": "pro"}}]"#;
    let read = read(&[("a.csv", csv), ("b.yaml", yaml), ("c.json", json)]).unwrap();
    assert_eq!(
        places(&read),
        [
            "us1.example:5432/acme",
            "us1.example:5432/shared/b",
            "us1.example:5432/c",
            "us1.example:6000/d",
            "us1.example:5432/y",
            "us1.example:5432/j",
        ]
    );
    assert_eq!(
        hosts(&read),
        [
            (
                "us1.example:5432",
                "postgres://u:${PW}@us1.example:5432/postgres",
                None
            ),
            (
                "us1.example:6000",
                "postgres://u@us1.example:6000/postgres",
                None
            ),
        ],
        "references stand as they were written"
    );
}

#[test]
fn a_template_makes_a_host_for_each_server() {
    let read = read(&[(
        "a.csv",
        "id,host,database,schema,shard\na,shards,,a,s1\nb,shards,,b,s2\nc,shards,,c,s1\nd,own,d,,\ne,own,e,e,\n",
    )])
    .unwrap();
    assert_eq!(
        places(&read),
        [
            "shards@s1.db:6432/app/a",
            "shards@s2.db:6432/app/b",
            "shards@s1.db:6432/app/c",
            "own@db:5432/d",
            "own@db:5432/e/e",
        ]
    );
    assert_eq!(
        hosts(&read),
        [
            (
                "own@db:5432",
                "postgres://m:${PW}@db:5432/postgres",
                Some("own")
            ),
            (
                "shards@s1.db:6432",
                "postgres://m:${PW_s1}@s1.db:6432/postgres",
                Some("shards")
            ),
            (
                "shards@s2.db:6432",
                "postgres://m:${PW_s2}@s2.db:6432/postgres",
                Some("shards")
            ),
        ]
    );
}

#[test]
fn what_a_template_needs_is_named_with_tenant_file_and_line() {
    let text = bad(
        "id,host,schema,shard,database\na,shards,a,,\nb,shards,b,s1@evil.example/,\nc,own,c,,\nd,own,d,,x y\n",
    );
    let expected = [
        "a.csv:2: tenant \"a\": has no label `shard`, which its host's url is made with",
        "a.csv:3: tenant \"b\": label `shard` is \"s1@evil.example/\", and its host's url is made with it: there only letters, \
         digits, `-`, `.` and `_` stand for themselves",
        "a.csv:4: tenant \"c\": has no `database`, which its host's url is made with",
        "a.csv:5: tenant \"d\": `database` is \"x y\", and its host's url is made with it: there only letters, digits, `-`, \
         `.` and `_` stand for themselves",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_url_that_cannot_be_used_is_refused_and_not_repeated() {
    let text = bad("id,host,url,schema,file\n\
         a,,postgres://u:hunter2@db/a,,\n\
         b,,postgres://u:x${PW}@db/hunter2,,\n\
         c,,postgres://u@db/c?password=hunter2,,\n\
         d,eu1,postgres://u:hunter2@db/d,d,\n\
         e,,mysql://u:hunter2@db/e,,\n\
         f,,postgres://u:${PW}@${SERVER}/f,,\n\
         g,,postgres://u:${PW}@db,,\n\
         h,,postgres://u:${PW}@db/${NAME},,\n\
         i,,postgres://u:${PW}@db/i,,i.db\n\
         j,,,j,\n");
    assert!(!text.contains("hunter2"), "{text}");
    let parts = [
        "a.csv:2: tenant \"a\": its `url` holds a password as it is: write a reference",
        "a.csv:3: tenant \"b\": its `url` holds a password as it is",
        "a.csv:4: tenant \"c\": its `url` holds a password as it is",
        "a.csv:5: tenant \"d\": has both `host` and `url`",
        "a.csv:6: tenant \"e\": its `url` is not the URL of a PostgreSQL server",
        "a.csv:7: tenant \"f\": its `url` has a reference where the server's name or port stands",
        "a.csv:8: tenant \"g\": its `url` names no database",
        "a.csv:9: tenant \"h\": its url has a reference where the database's name stands",
        "a.csv:10: tenant \"i\": has both `url` and `file`",
        "a.csv:11: tenant \"j\": has no `host` and no `url`",
    ];
    for (line, part) in text.lines().zip(parts) {
        assert!(line.starts_with(part), "{line}");
    }
    assert_eq!(text.lines().count(), parts.len());
}

#[test]
fn one_server_has_one_login() {
    let text = bad(
        "id,url\na,postgres://u:${PW}@db/a\nb,postgres://v:${PW}@db/b\nc,postgres://u:${PW}@db/c?sslmode=require\n",
    );
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(
        text.starts_with(
            "a.csv:3: tenant \"b\": reaches db:5432 by another url (user, password or parameters) than tenant \"a\" at a.csv:2"
        ),
        "{text}"
    );
}

/// A server has a name in the settings, and rows may name it by its address too: one schema is planned once.
#[test]
fn a_server_under_two_names_is_one() {
    let text = bad("id,host,url,database,schema\n\
         a,eu1,,,s\n\
         b,,postgres://u:${PW}@DB/app,,s\n\
         c,,postgres://u:${PW}@db:5432/other,,s\n\
         d,own,,other,s\n\
         e,own,,e,s\n");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(
        lines[0].starts_with(
            "a.csv:3: tenant \"b\": lives at db:5432/app/s, and so does tenant \"a\" at a.csv:2 (written as eu1/s, which is the \
             same place)"
        ),
        "{text}"
    );
    assert!(
        lines[1].starts_with(
            "a.csv:5: tenant \"d\": lives at own@db:5432/other/s, and so does tenant \"c\" at a.csv:4"
        ),
        "{text}"
    );
}
