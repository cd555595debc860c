/*
 * Lending a chain: native/src/core/lends.cc and region_messages.cc, with the end that reads, which
 * says `done` when it has released a message (adapter/shmipc/session.ts).
 *
 * The owner lends one chain any number of times, also while earlier lends last, and writes it anew
 * when none is outstanding. The reader takes the chain's words by the first lend and keeps them as
 * long as a borrow lasts. Checked: what a borrower reads is what was lent to it, no `done` comes
 * that the owner does not expect, and all is given back in the end.
 *
 * Variants that must fail:
 *   -DDONE_FIRST     the reader says `done` before it releases
 *   -DREWRITE_EARLY  the owner writes the chain anew while a lend is outstanding
 *   -DFORGET_COUNT   the owner takes one `done` for the end of all lends
 *   -DKEEP_WORDS     the reader keeps the words when its last borrow has ended
 */
#define LENDS 5
#define LIVES 3
#define RING 2

byte words = 1;    /* header words of the chain: which life of it they describe */
byte payload = 1;
chan lent = [RING] of { byte };  /* the life the owner means */
chan done = [RING] of { bit };

proctype Owner() {
  byte life = 1, lends = 0, outstanding = 0;
  do
  :: lends < LENDS && nfull(lent) ->
    outstanding++;
    lends++;
    lent ! life
  :: done ? _ ->
    assert(outstanding > 0);
#ifdef FORGET_COUNT
    outstanding = 0
#else
    outstanding--
#endif
#ifdef REWRITE_EARLY
  :: life < LIVES ->
#else
  :: outstanding == 0 && life < LIVES ->
#endif
    payload = 0;         /* somebody else's meanwhile */
    life++;
    payload = life;
    words = life
  :: lends == LENDS && outstanding == 0 && empty(done) -> break
  od
}

proctype Reader() {
  byte taken = 0, borrows = 0, unsaid = 0, kept = 0, meant;
  do
  :: lent ? meant ->
    if
    :: kept == 0 -> kept = words
    :: else -> skip
    fi;
    assert(kept == meant);
    borrows++;
    taken++
  :: borrows > 0 -> assert(payload == kept)
#ifdef DONE_FIRST
  :: borrows > unsaid && nfull(done) -> done ! 1; unsaid++
  :: unsaid > 0 ->
    unsaid--;
    borrows--;
    if
    :: borrows == 0 -> kept = 0
    :: else -> skip
    fi
#else
  :: borrows > 0 ->
    borrows--;
    unsaid++;
    if
#ifdef KEEP_WORDS
    :: false -> skip
#else
    :: borrows == 0 -> kept = 0
#endif
    :: else -> skip
    fi
  :: unsaid > 0 && nfull(done) -> done ! 1; unsaid--
#endif
  :: taken == LENDS && borrows == 0 && unsaid == 0 -> break
  od
}

init {
  atomic { run Owner(); run Reader() }
}
