//! Migrations that run as a role of their tenant's.

use sanderling_core::{ErrorClass, Failure, Place};
use sanderling_engine::{Limits, RoleTemplate};
use sanderling_sql::Dialect;
use sanderling_testkit::{Postgres, unique};

use crate::hostile::as_role;
use crate::support::{Fleet, LIMITS, Migration, applied, claim, failed, first};

/// A login role without rights of its own but to make the fence, and a suffix that no other test's roles have.
struct Scene {
    owner: Fleet,
    fleet: Fleet,
    login: String,
    suffix: String,
}

impl Scene {
    fn new() -> Self {
        let owner = Fleet::postgres();
        let (login, fleet) = as_role(&owner, "");
        let suffix = unique("o");
        let template = RoleTemplate::parse(&format!("{{{{schema}}}}_{suffix}")).unwrap();
        let fleet = fleet.with(|config| config.role = Some(template.clone()));
        let scene = Self {
            owner,
            fleet,
            login,
            suffix,
        };
        let database = scene.owner.url().rsplit_once('/').unwrap().1.to_owned();
        scene.sql(&format!(
            "GRANT CREATE ON DATABASE {database} TO {}",
            scene.login
        ));
        scene
    }

    fn sql(&self, sql: &str) -> String {
        Postgres::shared().sql(self.owner.url(), sql)
    }

    fn role(&self, schema: &str) -> String {
        format!("{schema}_{}", self.suffix)
    }

    /// A schema that belongs to its role, whose member the login role is.
    fn tenant(&self, schema: &str) -> Place {
        let (role, login) = (self.role(schema), &self.login);
        self.sql(&format!(
            "CREATE ROLE {role}; GRANT {role} TO {login}; CREATE SCHEMA {schema} AUTHORIZATION {role}"
        ));
        self.fleet.place(schema)
    }

    fn owner_of(&self, table: &str) -> String {
        let sql = format!("SELECT relowner::regrole FROM pg_class WHERE oid = '{table}'::regclass");
        self.sql(&sql)
    }
}

#[track_caller]
fn said(failure: &Failure, class: ErrorClass, part: &str) {
    let seen = (failure.cause.class, failure.cause.code.as_str());
    assert_eq!(seen, (class, "role"), "{failure:?}");
    assert!(failure.message.contains(part), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_body_is_the_tenants_and_the_ledger_the_logins() {
    let scene = Scene::new();
    let (place, role) = (scene.tenant("t1"), scene.role("t1"));
    let who = |version: &str| {
        let table = format!("CREATE TABLE who{version} AS SELECT current_user::text AS name");
        Migration::new(version, &[&table])
    };
    let (one, two, three) = (who("1"), who("2"), who("3"));
    let mut session = scene.fleet.open(&place, &claim(1)).await;
    applied(session.step(&one.step()).await);
    applied(session.steps(&[two.step(), three.step()]).await);
    assert_eq!(session.fence().await.unwrap().len(), 3);
    session.close().await;
    for n in 1..=3 {
        assert_eq!(scene.sql(&format!("SELECT name FROM t1.who{n}")), role);
        assert_eq!(scene.owner_of(&format!("t1.who{n}")), role);
    }
    assert_eq!(scene.owner_of("t1.sanderling_migrations"), scene.login);
    assert_eq!(scene.owner_of("sanderling.fence"), scene.login);
}

/// What is one tenant's cannot be reached from the migration of another.
#[tokio::test(flavor = "multi_thread")]
async fn the_rights_are_the_tenants() {
    let scene = Scene::new();
    let (one, two) = (scene.tenant("t1"), scene.tenant("t2"));
    applied(scene.fleet.apply(&two, &claim(1), &first()).await);
    for reaches in [
        "DROP TABLE t2.t",
        "INSERT INTO t2.t VALUES (2)",
        "UPDATE sanderling.fence SET epoch = 900",
        "DELETE FROM t2.sanderling_migrations",
    ] {
        let body = Migration::new("1", &[reaches]);
        let failure = failed(scene.fleet.apply(&one, &claim(1), &body).await);
        let seen = (failure.cause.class, failure.cause.statement);
        assert_eq!(seen, (ErrorClass::Permission, Some(1)), "{failure:?}");
    }
    applied(scene.fleet.apply(&one, &claim(1), &first()).await);
}

/// Triggers that wait for the commit would else run as the login role, which is a member of every tenant's.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_deferred_runs_as_the_role_too() {
    let scene = Scene::new();
    let place = scene.tenant("t1");
    let trigger = [
        "CREATE TABLE bell (n integer)",
        "CREATE TABLE seen (name text)",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t1.seen VALUES (current_user); RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER note AFTER INSERT ON bell DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note()",
        "INSERT INTO bell VALUES (1)",
    ];
    let rings = Migration::new("2", &["INSERT INTO bell VALUES (2)"]);
    let mut session = scene.fleet.open(&place, &claim(1)).await;
    let first = Migration::new("1", &trigger);
    applied(session.steps(&[first.step(), rings.step()]).await);
    let names = scene.sql("SELECT string_agg(DISTINCT name, ','), count(*) FROM t1.seen");
    assert_eq!(names, format!("{}|2", scene.role("t1")));
    // An error of such a thing is one of the commit, and all is as it was.
    let broken = [
        "CREATE TABLE p (id integer PRIMARY KEY)",
        "CREATE TABLE c (id integer REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
        "INSERT INTO c VALUES (1)",
    ];
    let failure = failed(session.step(&Migration::new("3", &broken).step()).await);
    assert_eq!(failure.cause.code, "23503");
    assert!(failure.message.starts_with("at COMMIT"), "{failure:?}");
    assert_eq!(session.fence().await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_cannot_be_taken_on_is_explained() {
    let scene = Scene::new();
    let place = scene.tenant("t1");
    let (role, login) = (scene.role("t1"), scene.login.clone());
    let (mut session, body) = (scene.fleet.open(&place, &claim(1)).await, first());
    applied(session.step(&body.step()).await);
    let two = Migration::new("2", &["CREATE TABLE two (n integer)"]);
    scene.sql(&format!(
        "REVOKE {role} FROM {login}; GRANT ALL ON SCHEMA t1 TO {login}"
    ));
    let failure = failed(session.step(&two.step()).await);
    let grant = format!("GRANT \"{role}\" TO \"{login}\"");
    said(&failure, ErrorClass::Permission, &grant);
    assert_eq!(failure.file.as_deref(), Some("migrations/sample.sql"));
    // The claim can still be resolved: neither fence nor ledger are the role's.
    assert_eq!(session.fence().await.unwrap().len(), 1);

    scene.sql(&format!(
        "GRANT {role} TO {login}; ALTER SCHEMA t1 OWNER TO CURRENT_USER; REVOKE ALL ON SCHEMA t1 FROM {role}"
    ));
    let failure = failed(session.step(&two.step()).await);
    said(
        &failure,
        ErrorClass::Permission,
        "GRANT USAGE, CREATE ON SCHEMA \"t1\"",
    );

    scene.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
    let failure = failed(session.step(&two.step()).await);
    let create = format!("CREATE ROLE \"{role}\"; {grant}");
    said(&failure, ErrorClass::Precondition, &create);
    session.close().await;
    assert_eq!(scene.sql("SELECT to_regclass('t1.two') IS NULL"), "t");
}

/// `none` is what gives a role up, and a name that is cut could be another's.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_no_role_is_refused() {
    let scene = Scene::new();
    let template = RoleTemplate::parse("{{schema}}").unwrap();
    let fleet = Fleet::postgres_at(scene.owner.url(), scene.owner.url())
        .with(|config| config.role = Some(template.clone()));
    let place = fleet.create("none").await;
    let failure = failed(fleet.apply(&place, &claim(1), &first()).await);
    said(
        &failure,
        ErrorClass::Permission,
        "did not become role \"none\"",
    );

    let long = RoleTemplate::parse(&format!("{{{{schema}}}}{}", "x".repeat(60))).unwrap();
    let fleet = fleet.with(|config| config.role = Some(long.clone()));
    let mut session = fleet.open(&place, &claim(1)).await;
    let failure = failed(session.step(&first().step()).await);
    assert_eq!(failure.cause.class, ErrorClass::Precondition, "{failure:?}");
    assert!(session.fence().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_is_made_for_the_role() {
    let scene = Scene::new();
    let (login, role) = (&scene.login, scene.role("t1"));
    let limits = Limits {
        create_missing: true,
        ..LIMITS
    };
    let place = scene.fleet.place("t1");
    let refused = async || {
        let opened = scene.fleet.driver().open(&place, &claim(1), &limits).await;
        opened.err().expect("its role is not ready").0
    };
    let way = format!("CREATE ROLE \"{role}\"");
    said(&refused().await, ErrorClass::Precondition, &way);
    scene.sql(&format!("CREATE ROLE {role}"));
    let way = format!("GRANT \"{role}\" TO \"{login}\"");
    said(&refused().await, ErrorClass::Permission, &way);
    scene.sql(&format!("GRANT {role} TO {login}"));
    let mut session = scene
        .fleet
        .driver()
        .open(&place, &claim(1), &limits)
        .await
        .unwrap();
    applied(session.step(&first().step()).await);
    let owner = scene.sql("SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 't1'");
    assert_eq!((owner, scene.owner_of("t1.t")), (role.clone(), role));
}

/// A whole database: its owner may use `public`, which belongs to whoever owns the database.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_made_for_its_role() {
    let scene = Scene::new();
    let template = RoleTemplate::parse("{{database}}_owner").unwrap();
    let fleet = scene
        .fleet
        .with(|config| config.role = Some(template.clone()));
    let mut place = fleet.place("x");
    let database = unique("whole");
    (place.database, place.schema) = (Some(database.clone()), None);
    let pg = Postgres::shared();
    let limits = Limits {
        create_missing: true,
        ..LIMITS
    };
    pg.sql(
        pg.url(),
        &format!(
            "CREATE ROLE {database}_owner; GRANT {database}_owner TO {}",
            scene.login
        ),
    );
    let opened = fleet.driver().open(&place, &claim(1), &limits).await;
    let failure = opened.err().expect("the login role may not make any").0;
    assert_eq!(failure.cause.class, ErrorClass::Permission, "{failure:?}");
    assert!(failure.message.contains("CREATEDB"), "{failure:?}");
    pg.sql(pg.url(), &format!("ALTER ROLE {} CREATEDB", scene.login));
    let mut session = fleet
        .driver()
        .open(&place, &claim(1), &limits)
        .await
        .unwrap();
    applied(session.step(&first().step()).await);
    session.close().await;
    let owners = "SELECT datdba::regrole, (SELECT relowner::regrole FROM pg_class WHERE oid = 'public.t'::regclass) FROM pg_database WHERE datname = current_database()";
    let role = format!("{database}_owner");
    assert_eq!(
        pg.sql(&pg.url_of(&database), owners),
        format!("{role}|{role}")
    );
}

/// The tenant's role could put anything on a ledger of its own between two migrations.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_the_tenants_role_is_refused() {
    let scene = Scene::new();
    let place = scene.tenant("t1");
    applied(scene.fleet.apply(&place, &claim(1), &first()).await);
    let role = scene.role("t1");
    scene.sql(&format!(
        "ALTER TABLE t1.sanderling_migrations OWNER TO {role}; GRANT ALL ON t1.sanderling_migrations TO {}",
        scene.login
    ));
    let two = Migration::new("2", &["SELECT 1"]);
    let failure = failed(scene.fleet.apply(&place, &claim(1), &two).await);
    assert_eq!(failure.cause.code, "ledger_owner", "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_are_sent_one_by_one_run_as_the_role_too() {
    let scene = Scene::new();
    let place = scene.tenant("t1");
    let body = "CREATE TABLE t (n integer);\nCREATE INDEX CONCURRENTLY t_n ON t (n);\nVACUUM t;\n\
                CREATE TABLE who AS SELECT current_user::text AS me";
    let migration = Migration::apart(Dialect::Postgres, "1", body);
    applied(scene.fleet.apply(&place, &claim(1), &migration).await);
    let role = scene.role("t1");
    for made in ["t1.t", "t1.t_n", "t1.who"] {
        assert_eq!(scene.owner_of(made), role, "{made}");
    }
    assert_eq!(scene.sql("SELECT me FROM t1.who"), role);
    assert_eq!(scene.owner_of("t1.sanderling_migrations"), scene.login);
}
