"""Records, errors, randomness and messages that every other room stands on.

`config` (strict records), `errors`, `seeds` (addressed randomness), `types` (records that travel between
driver, workers and disk), `columns` (of the result tables) and `console` (messages). It imports no other
room.
"""
