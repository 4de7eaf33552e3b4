"""What the pages need: sign-in, sessions, conversations, shared results."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables of sign-in and of conversations."""
    _identity()
    _conversations()
    _shares()


def downgrade() -> None:
    """Refuse: people's conversations would be lost."""
    message = "people's conversations are in these tables; restore a backup instead"
    raise NotImplementedError(message)


def _identity() -> None:
    op.execute("""
        ALTER TABLE users
            ADD COLUMN name text,
            ADD COLUMN is_operator boolean NOT NULL DEFAULT false,
            ADD COLUMN deleted_at timestamptz,
            -- When the last text of a deleted one was gone.
            ADD COLUMN erased_at timestamptz;
        CREATE INDEX users_unerased ON users (deleted_at)
            WHERE deleted_at IS NOT NULL AND erased_at IS NULL;

        -- Who somebody is with Google or GitHub.
        CREATE TABLE external_identities (
            provider    text COLLATE "C" NOT NULL,
            subject     text COLLATE "C" NOT NULL,
            user_id     text COLLATE "C" NOT NULL REFERENCES users (id),
            created_at  timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (provider, subject)
        );
        CREATE INDEX external_identities_user ON external_identities (user_id);

        -- A browser. It may be signed in as a user, hold a worker, or both.
        CREATE TABLE sessions (
            token_hash    bytea PRIMARY KEY CHECK (length(token_hash) = 32),
            id            text COLLATE "C" NOT NULL UNIQUE,
            user_id       text COLLATE "C" REFERENCES users (id),
            worker_id     text COLLATE "C" REFERENCES workers (id),
            -- The worker's token at the time: a rotated one ends this browser's hold on it.
            worker_token  bytea CHECK (length(worker_token) = 32),
            user_agent    text,
            created_at    timestamptz NOT NULL DEFAULT now(),
            seen_at       timestamptz NOT NULL DEFAULT now(),
            expires_at    timestamptz NOT NULL,
            revoked_at    timestamptz,
            CONSTRAINT worker_has_token CHECK ((worker_id IS NULL) = (worker_token IS NULL))
        );
        CREATE INDEX sessions_user ON sessions (user_id) WHERE revoked_at IS NULL;
        CREATE INDEX sessions_expiry ON sessions (expires_at);

        -- A sign-in that has gone to a provider and not come back yet.
        CREATE TABLE sign_ins (
            state_hash  bytea PRIMARY KEY CHECK (length(state_hash) = 32),
            provider    text COLLATE "C" NOT NULL,
            verifier    text NOT NULL,
            nonce       text NOT NULL,
            return_to   text NOT NULL,
            created_at  timestamptz NOT NULL DEFAULT now()
        );
        CREATE INDEX sign_ins_age ON sign_ins (created_at);

        -- Of a deleted account's address, so that nobody gets the signup bonus a second time.
        CREATE TABLE former_users (
            email_hash  bytea PRIMARY KEY CHECK (length(email_hash) = 32),
            deleted_at  timestamptz NOT NULL DEFAULT now()
        );

        -- What development makes up for itself where the environment gives no secret.
        CREATE TABLE site_secrets (
            name   text COLLATE "C" PRIMARY KEY,
            value  bytea NOT NULL
        );
    """)


def _conversations() -> None:
    op.execute("""
        CREATE TABLE conversations (
            id           text COLLATE "C" PRIMARY KEY,
            buyer_id     text COLLATE "C" NOT NULL REFERENCES buyers (id),
            title        text NOT NULL,
            category     text COLLATE "C" NOT NULL,
            forked_from  text COLLATE "C",
            created_at   timestamptz NOT NULL DEFAULT now(),
            updated_at   timestamptz NOT NULL DEFAULT now(),
            -- The row stays, so that a stale page meets a 404; its turns are gone.
            deleted_at   timestamptz
        );
        CREATE INDEX conversations_buyer ON conversations (buyer_id, updated_at DESC, id DESC)
            WHERE deleted_at IS NULL;

        -- What the buyer said, and the tasks that answer it: one, and one more for each retry or
        -- regeneration. The chosen one's result goes into the history of later turns.
        CREATE TABLE turns (
            id               text COLLATE "C" PRIMARY KEY,
            conversation_id  text COLLATE "C" NOT NULL REFERENCES conversations (id),
            seq              integer NOT NULL CHECK (seq > 0),
            prompt           text NOT NULL,
            -- How many turns before it were too much to be sent along.
            left_out         integer NOT NULL DEFAULT 0 CHECK (left_out >= 0),
            chosen_task_id   text COLLATE "C",
            -- A search reads the words of one buyer's turns, so they need no index of all buyers'.
            words            tsvector NOT NULL,
            created_at       timestamptz NOT NULL DEFAULT now(),
            UNIQUE (conversation_id, seq)
        );

        CREATE TABLE turn_tasks (
            turn_id   text COLLATE "C" NOT NULL REFERENCES turns (id),
            task_id   text COLLATE "C" NOT NULL,
            seq       integer NOT NULL CHECK (seq > 0),
            -- Which sending made it, so that a repeated one makes no other. A fork has none.
            send_key  bytea UNIQUE CHECK (length(send_key) = 32),
            -- The words of its result, found out by the first search after it came.
            words     tsvector,
            PRIMARY KEY (turn_id, seq)
        );
        CREATE INDEX turn_tasks_task ON turn_tasks (task_id);

        -- What is being written. The conversation '' is the one that has not begun.
        CREATE TABLE drafts (
            buyer_id         text COLLATE "C" NOT NULL REFERENCES buyers (id),
            conversation_id  text COLLATE "C" NOT NULL,
            text             text NOT NULL,
            category         text COLLATE "C" NOT NULL,
            updated_at       timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (buyer_id, conversation_id)
        );
    """)


def _shares() -> None:
    op.execute("""
        -- A link to read one result, until it is revoked.
        CREATE TABLE shares (
            id          text COLLATE "C" PRIMARY KEY,
            token_hash  bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
            buyer_id    text COLLATE "C" NOT NULL REFERENCES buyers (id),
            task_id     text COLLATE "C" NOT NULL,
            created_at  timestamptz NOT NULL DEFAULT now(),
            revoked_at  timestamptz
        );
        CREATE INDEX shares_task ON shares (task_id) WHERE revoked_at IS NULL;
        CREATE INDEX shares_buyer ON shares (buyer_id, id);
    """)
