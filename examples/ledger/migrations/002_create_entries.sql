-- migrate:up
CREATE TABLE entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    booked timestamptz NOT NULL DEFAULT now(),
    debit text NOT NULL REFERENCES accounts,
    credit text NOT NULL REFERENCES accounts,
    amount numeric(12, 2) NOT NULL CHECK (amount > 0),
    memo text NOT NULL DEFAULT '',
    CHECK (debit <> credit)
);

CREATE VIEW balances AS
SELECT name, coalesce(sum(CASE WHEN debit = name THEN amount ELSE -amount END), 0) AS balance
  FROM accounts LEFT JOIN entries ON name IN (debit, credit)
 GROUP BY name;

-- migrate:down
DROP VIEW balances;
DROP TABLE entries;
