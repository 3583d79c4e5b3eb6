"""Everything that is looked at, in the order in which one thing depends on another."""

from smtp_admin.monitor import (
    check_bounces,
    check_database,
    check_host,
    check_links,
    check_lists,
    check_machine,
    check_redis,
    check_sandbox,
    check_senders,
    expiring,
)
from smtp_admin.monitor.health import Part

PARTS: tuple[Part, ...] = (
    Part("database", check_database.database),
    Part("tables", check_database.tables, ("database",)),
    Part("storage", check_database.storage, ("tables",)),
    Part("sandbox", check_sandbox.sandbox, ("tables",)),
    Part("partners", check_host.partners),
    Part("links", check_links.links),
    Part("redis", check_redis.redis),
    Part("workers", check_redis.workers, ("tables",)),
    Part("mail", check_senders.mail, ("tables",)),
    Part("keys", check_database.keys, ("tables",)),
    Part("environment", check_senders.environment),
    Part("sender", check_senders.senders, ("tables",)),
    Part("passwords", check_senders.passwords, ("tables",)),
    Part("lists", check_lists.lists, ("tables",)),
    Part("expiry", expiring.expiry, ("tables",)),
    Part("bounces", check_bounces.bounces, ("tables",)),
    Part("servers", check_senders.servers, ("tables",)),
    Part("certificates", check_machine.authorities),
    Part("clock", check_database.database_clock, ("database",)),
    Part("clock", check_redis.redis_clock, ("redis",)),
)
