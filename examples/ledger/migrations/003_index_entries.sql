-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY entries_booked ON entries (booked);

-- migrate:down transaction:false
DROP INDEX CONCURRENTLY entries_booked;
