//! Schemas that stand behind the tenant's own in the search path: used, and refused where others could decide what
//! names in a migration mean.

use sanderling_core::{ErrorClass, Failure, Place};
use sanderling_engine::{RoleTemplate, SearchPath};
use sanderling_sql::Dialect;
use sanderling_testkit::{Postgres, unique};

use crate::hostile::as_role;
use crate::support::{Fleet, LIMITS, Migration, applied, claim, failed};

/// An odd name, so that quoting is seen to.
const EXTENSIONS: &str = "Ext, \"one\"";
const QUOTED: &str = "\"Ext, \"\"one\"\"\"";

/// A login role that is no superuser, and one entry that the server's superuser made.
struct Scene {
    owner: Fleet,
    fleet: Fleet,
    login: String,
}

impl Scene {
    fn new() -> Self {
        let owner = Fleet::postgres();
        let (login, fleet) = as_role(&owner, "");
        let path = path(&[EXTENSIONS]);
        let scene = Self {
            fleet: fleet.with(|config| config.search_path = path.clone()),
            owner,
            login,
        };
        let database = scene.owner.url().rsplit_once('/').unwrap().1.to_owned();
        scene.sql(&format!(
            "GRANT CREATE ON DATABASE {database} TO {login}; {}",
            scene.entry(),
            login = scene.login
        ));
        scene
    }

    /// The entry with a function and a table in it.
    fn entry(&self) -> String {
        format!(
            "CREATE SCHEMA {QUOTED}; GRANT USAGE ON SCHEMA {QUOTED} TO {login}; \
             CREATE FUNCTION {QUOTED}.shout(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT upper($1) || '!' $$; \
             CREATE TABLE {QUOTED}.t (x text)",
            login = self.login
        )
    }

    fn sql(&self, sql: &str) -> String {
        Postgres::shared().sql(self.owner.url(), sql)
    }

    fn tenant(&self, schema: &str) -> Place {
        let login = &self.login;
        self.sql(&format!(
            "CREATE SCHEMA \"{}\" AUTHORIZATION {login}",
            schema.replace('"', "\"\"")
        ));
        self.fleet.place(schema)
    }

    /// The same server as another process sees it, which remembers nothing.
    fn anew(&self) -> Fleet {
        let through = self
            .owner
            .url()
            .replace("postgres@", &format!("{}@", self.login));
        let path = path(&[EXTENSIONS]);
        Fleet::postgres_at(self.owner.url(), &through)
            .with(|config| config.search_path = path.clone())
    }
}

fn path(others: &[&str]) -> SearchPath {
    let entries = ["{{schema}}"].iter().chain(others);
    let entries: Vec<_> = entries.map(|entry| (*entry).to_owned()).collect();
    SearchPath::parse(&entries).unwrap()
}

/// Uses the entry's function, and a name that both schemas have.
fn shouts(version: &str) -> Migration {
    let table = format!("CREATE TABLE t{version} (id integer, x text DEFAULT shout('a'))");
    let fill = format!("INSERT INTO t{version} VALUES (1)");
    Migration::new(version, &[&table, &fill])
}

#[track_caller]
fn refused(failure: &Failure, part: &str) {
    let seen = (failure.cause.class, failure.cause.code.as_str());
    assert_eq!(
        seen,
        (ErrorClass::Precondition, "search_path"),
        "{failure:?}"
    );
    for part in [part, "host h1", QUOTED] {
        assert!(failure.message.contains(part), "{part}: {failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_resolve_behind_the_tenants_own() {
    let scene = Scene::new();
    let place = scene.tenant("t 1");
    let own = Migration::new("1", &["CREATE TABLE t (n integer)"]);
    let (two, three) = (shouts("2"), shouts("3"));
    let path = Migration::new(
        "4",
        &["CREATE TABLE p AS SELECT current_setting('search_path') AS path"],
    );
    let mut session = scene.fleet.open(&place, &claim(1)).await;
    applied(session.step(&own.step()).await);
    applied(
        session
            .steps(&[two.step(), three.step(), path.step()])
            .await,
    );
    let apart = Migration::apart(
        Dialect::Postgres,
        "5",
        "CREATE INDEX CONCURRENTLY i ON t2 (shout(x));\nINSERT INTO t2 VALUES (2);",
    );
    applied(session.step(&apart.step()).await);
    session.close().await;
    let (driver, six) = (scene.fleet.driver(), shouts("6"));
    let (second, steps) = (claim(2), [six.step()]);
    let tried = driver.rehearse(&place, &second, &LIMITS, &steps);
    let catalog = tried.await.unwrap().unwrap();
    assert!(catalog.lines.iter().any(|line| line.contains("t6")));
    let seen = scene.sql(&format!(
        "SELECT (SELECT string_agg(x, ',') FROM \"t 1\".t2), (SELECT x FROM \"t 1\".t3), \
         (SELECT count(*) FROM {QUOTED}.t), to_regclass('\"t 1\".t') IS NOT NULL, (SELECT path FROM \"t 1\".p)"
    ));
    assert_eq!(
        seen,
        format!("A!,A!|A!|0|t|\"t 1\", {QUOTED}, pg_temp"),
        "the tenant's schema is first, the temporary one last"
    );
}

/// Each thing that is wrong is refused before anything of the migration, and by the process that saw it right as well.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_others_may_write_into_is_refused() {
    let scene = Scene::new();
    let place = scene.tenant("t1");
    let stranger = unique("stranger");
    scene.sql(&format!("CREATE ROLE {stranger}"));
    let (drop, make) = (format!("DROP SCHEMA {QUOTED} CASCADE"), scene.entry());
    let wrongs = [
        (drop, make, "is missing"),
        (
            format!("REVOKE USAGE ON SCHEMA {QUOTED} FROM {}", scene.login),
            format!("GRANT USAGE ON SCHEMA {QUOTED} TO {}", scene.login),
            "may not use it",
        ),
        (
            format!("GRANT CREATE ON SCHEMA {QUOTED} TO PUBLIC"),
            format!("REVOKE CREATE ON SCHEMA {QUOTED} FROM PUBLIC"),
            "REVOKE CREATE",
        ),
        (
            format!("GRANT CREATE ON SCHEMA {QUOTED} TO {stranger}"),
            format!("REVOKE CREATE ON SCHEMA {QUOTED} FROM {stranger}"),
            "REVOKE CREATE",
        ),
        (
            format!("ALTER SCHEMA {QUOTED} OWNER TO {stranger}"),
            format!("ALTER SCHEMA {QUOTED} OWNER TO CURRENT_USER"),
            "let a trusted role own it",
        ),
    ];
    let apart = Migration::apart(Dialect::Postgres, "90", "CREATE TABLE apart (n integer);");
    for (n, (wrong, right, part)) in wrongs.iter().enumerate() {
        let body = shouts(&format!("{}", n + 1));
        scene.sql(wrong);
        refused(
            &failed(scene.fleet.apply(&place, &claim(1), &body).await),
            part,
        );
        refused(
            &failed(scene.fleet.apply(&place, &claim(1), &apart).await),
            part,
        );
        let lacks = scene.fleet.driver().lacks(1, false).await.unwrap();
        let said = lacks.iter().any(|l| l.blocks && l.what.contains(part));
        assert!(said, "{wrong}: {lacks:?}");
        scene.sql(right);
        assert!(
            scene
                .fleet
                .driver()
                .lacks(1, false)
                .await
                .unwrap()
                .is_empty()
        );
        applied(scene.fleet.apply(&place, &claim(1), &body).await);
    }
    assert_eq!(scene.sql("SELECT to_regclass('t1.apart') IS NULL"), "t");
    scene.sql(&format!("DROP ROLE {stranger}"));
}

/// Somebody made a better fitting function while everybody could, as PUBLIC may in `public` before PostgreSQL 15.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_planted_before_is_found() {
    let scene = Scene::new();
    let place = scene.tenant("t1");
    let planted = [
        "CREATE FUNCTION {q}.shout(varchar) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT ''hijacked'''",
        "CREATE TABLE {q}.planted (x text)",
        "CREATE TYPE {q}.planted AS ENUM ('a')",
        "CREATE OPERATOR {q}.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)",
    ];
    for (n, sql) in planted.iter().enumerate() {
        let stranger = unique("stranger");
        let sql = sql.replace("{q}", QUOTED);
        scene.sql(&format!(
            "CREATE ROLE {stranger}; GRANT CREATE ON SCHEMA {QUOTED} TO PUBLIC; SET ROLE {stranger}; {sql}; RESET ROLE; \
             REVOKE CREATE ON SCHEMA {QUOTED} FROM PUBLIC"
        ));
        let fleet = scene.anew();
        let (driver, first) = (fleet.driver(), claim(1));
        let opened = driver.open(&place, &first, &LIMITS);
        let failure = match opened.await {
            Ok(_) => panic!("{sql} was overlooked"),
            Err(error) => error.0,
        };
        refused(&failure, "find out who made it");
        let six = shouts("6");
        let tried = driver
            .rehearse(&place, &first, &LIMITS, &[six.step()])
            .await;
        refused(&tried.unwrap_err().0, "find out who made it");
        let lacks = fleet.driver().lacks(1, false).await.unwrap();
        assert!(lacks[0].what.contains("find out who made it"), "{lacks:?}");
        scene.sql(&format!("DROP OWNED BY {stranger}; DROP ROLE {stranger}"));
        applied(
            fleet
                .apply(&place, &claim(1), &shouts(&format!("{n}")))
                .await,
        );
    }
}

/// A group that the login role belongs to may own the entry; a tenant's role, though the login role is its member too,
/// would decide over all other tenants. Each tenant's role has to be able to use it.
#[tokio::test(flavor = "multi_thread")]
async fn the_roles_of_tenants_may_use_it_and_not_write_into_it() {
    let scene = Scene::new();
    let (group, suffix) = (unique("group"), unique("o"));
    let template = RoleTemplate::parse(&format!("{{{{schema}}}}_{suffix}")).unwrap();
    let fleet = scene
        .anew()
        .with(|config| config.role = Some(template.clone()));
    let (role, login) = (format!("t1_{suffix}"), &scene.login);
    scene.sql(&format!(
        "CREATE ROLE {role}; GRANT {role} TO {login}; CREATE SCHEMA t1 AUTHORIZATION {role}; \
         CREATE ROLE {group}; GRANT {group} TO {login}; ALTER SCHEMA {QUOTED} OWNER TO {group}"
    ));
    let place = fleet.place("t1");
    let failure = failed(fleet.apply(&place, &claim(1), &shouts("1")).await);
    let seen = (failure.cause.class, failure.cause.code.as_str());
    assert_eq!(seen, (ErrorClass::Permission, "role"), "{failure:?}");
    let grant = format!("GRANT USAGE ON SCHEMA {QUOTED} TO \"{role}\"");
    assert!(failure.message.contains(&grant), "{failure:?}");

    scene.sql(&grant);
    applied(fleet.apply(&place, &claim(1), &shouts("1")).await);

    scene.sql(&format!("GRANT CREATE ON SCHEMA {QUOTED} TO {role}"));
    let failure = failed(fleet.apply(&place, &claim(1), &shouts("2")).await);
    refused(&failure, "the roles that migrations run as are others");
    // Where migrations run as the login role, it is a role like any other that the login role belongs to.
    let plain = scene.tenant("t2");
    applied(scene.fleet.apply(&plain, &claim(1), &shouts("1")).await);
    scene.sql(&format!(
        "DROP SCHEMA t1 CASCADE; DROP SCHEMA {QUOTED} CASCADE; DROP ROLE {role}; DROP ROLE {group}"
    ));
}

/// What is in an entry is the same for all tenants, and so are their fingerprints, whatever the tenants are called, and
/// whether names were qualified or found.
#[tokio::test(flavor = "multi_thread")]
async fn fingerprints_do_not_tell_tenants_apart() {
    let scene = Scene::new();
    let uses = "CREATE TABLE a (x text DEFAULT shout('a') CHECK (shout(x) <> ''))";
    let view = "CREATE VIEW v AS SELECT shout(a.x) AS y, t.x FROM a, t";
    let mut places = Vec::new();
    for schema in ["t1", "T 2", "t\"3"] {
        let place = scene.tenant(schema);
        let body = Migration::new("1", &[uses, view]);
        applied(scene.fleet.apply(&place, &claim(1), &body).await);
        places.push(place);
    }
    let plain = scene.tenant("t4");
    let qualified = [uses, view].map(|sql| {
        sql.replace("shout(", &format!("{QUOTED}.shout("))
            .replace(", t", &format!(", {QUOTED}.t"))
    });
    let qualified = [qualified[0].as_str(), qualified[1].as_str()];
    let body = Migration::new("1", &qualified);
    let bare = scene
        .anew()
        .with(|config| config.search_path = SearchPath::default());
    applied(bare.apply(&plain, &claim(1), &body).await);
    places.push(plain);
    let catalogs = scene.fleet.hosts.catalogs(&places).await;
    let first = catalogs[0].as_ref().unwrap();
    assert!(first.lines.iter().any(|line| line.contains("shout")));
    for catalog in &catalogs {
        assert_eq!(catalog.as_ref().unwrap().lines, first.lines);
        assert_eq!(catalog.as_ref().unwrap().fingerprint, first.fingerprint);
    }
}

/// `public` belongs to whoever owns the database, which is a superuser here and then somebody else.
#[tokio::test(flavor = "multi_thread")]
async fn public_is_its_databases_owners() {
    let scene = Scene::new();
    let place = scene.tenant("t1");
    let public = path(&["public"]);
    let fleet = scene
        .anew()
        .with(|config| config.search_path = public.clone());
    let stranger = unique("stranger");
    scene.sql(&format!(
        "CREATE ROLE {stranger}; ALTER SCHEMA public OWNER TO pg_database_owner; REVOKE CREATE ON SCHEMA public FROM PUBLIC; \
         CREATE FUNCTION public.shout(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT upper($1) $$"
    ));
    applied(fleet.apply(&place, &claim(1), &shouts("1")).await);
    let database = scene.owner.url().rsplit_once('/').unwrap().1.to_owned();
    scene.sql(&format!("ALTER DATABASE {database} OWNER TO {stranger}"));
    let failure = failed(fleet.apply(&place, &claim(1), &shouts("2")).await);
    assert_eq!(failure.cause.code, "search_path", "{failure:?}");
    scene.sql(&format!(
        "ALTER DATABASE {database} OWNER TO CURRENT_USER; DROP ROLE {stranger}"
    ));
}
