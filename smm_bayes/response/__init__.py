"""Binary and ordinal endpoints: exact designs."""
