-- The database role of the service for DB_ROW_SECURITY=on and ADMIN=off: docs/decisions/0010-row-security.md.
-- Run this once after manage.py migrate, as the owner of the tables. Then set a password: \password todo_web
CREATE ROLE todo_web LOGIN NOINHERIT NOBYPASSRLS;
GRANT SELECT, INSERT, UPDATE, DELETE ON tasks_task, idempotency_keptresponse, throttling_window TO todo_web;
GRANT SELECT, INSERT, UPDATE ON changes_removal TO todo_web;
GRANT SELECT ON changes_epoch, changes_forgotten, changes_move TO todo_web;
GRANT USAGE ON SEQUENCE idempotency_keptresponse_id_seq TO todo_web;
GRANT SELECT ON django_migrations TO todo_web;
