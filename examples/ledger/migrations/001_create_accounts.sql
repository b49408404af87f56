-- migrate:up
CREATE TABLE accounts (
    name text PRIMARY KEY,
    holder text NOT NULL DEFAULT ''
);

-- migrate:down
DROP TABLE accounts;
