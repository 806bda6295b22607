"""The ledger: PostgreSQL, the truth about every task. The only package that knows SQLAlchemy."""
