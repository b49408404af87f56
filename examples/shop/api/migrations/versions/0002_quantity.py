"""Orders have a quantity."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("orders", sa.Column("quantity", sa.Integer, nullable=False, server_default="1"))
    op.create_check_constraint("orders_quantity_positive", "orders", "quantity > 0")


def downgrade() -> None:
    op.drop_column("orders", "quantity")
