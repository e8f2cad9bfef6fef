CREATE TABLE task (
    id uuid PRIMARY KEY,
    user_id varchar(255) NOT NULL,
    title varchar(200) NOT NULL,
    description text NOT NULL,
    completed boolean NOT NULL,
    due varchar(65),
    priority varchar(6),
    labels jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    completed_at timestamptz,
    version bigint NOT NULL
);
CREATE INDEX task_list ON task (user_id, created_at DESC, id DESC);
