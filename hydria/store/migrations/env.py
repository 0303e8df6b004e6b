"""Run by Alembic, within the transaction that `Database.migrate` opened."""

from alembic import context

from hydria.store.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
