CREATE TABLE kept (
    fleet {text} NOT NULL,
    host {text} NOT NULL,
    worker {text} NOT NULL,
    kept bigint NOT NULL,
    let_go bigint NOT NULL,
    PRIMARY KEY (fleet, host, worker)
);
