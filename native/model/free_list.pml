/*
 * The way of a slice between two shmesh ends: native/src/core/slice_list.cc with the roles kOurs
 * and kPeers.
 *
 * The owner allocates from a private stack and lends; the peer appends what it is done with to the
 * shared list; the owner takes it from there when its stack is empty. Checked: a slice is never
 * given out while somebody has it, every link the owner follows is the one the peer wrote, and
 * nothing is lost: when all has been returned the owner can get hold of every slice but the one the
 * list keeps.
 *
 * Variants that must fail:
 *   -DFLAG_BEFORE_NEXT  Link sets the flag before `next`
 *   -DTAKE_LAST         Reclaim also takes the slice without a next
 *   -DNO_CLEAR          Append leaves the flag of the slice's last life
 */
#define SLICES 3
#define LOANS 5
#define NONE 255

byte next[SLICES];
bit has_next[SLICES];
chan ring = [SLICES] of { byte };  /* lent to the peer, in order */

/* Who has a slice: 0 the owner's stack, 1 lent (with the peer or in the shared list). */
bit lent[SLICES];
bool lending_done = false;
byte returned = 0;

proctype Owner() {
  byte head = 0, got, loans = 0, in_stack = 0, i;
  bool took;
  byte stack[SLICES];
  do
  :: loans == LOANS -> break
  :: loans < LOANS ->
    if
    :: in_stack == 0 ->
      /* Reclaim */
      do
      :: has_next[head] == 1 ->
        got = next[head];
        assert(got < SLICES);
        assert(lent[head] == 1 && lent[got] == 1);
        lent[head] = 0;
        stack[in_stack] = head;
        in_stack++;
        head = got
      :: else -> break
      od
#ifdef TAKE_LAST
      ;
      if
      :: in_stack == 0 && lent[head] == 1 && returned == loans ->
        lent[head] = 0; stack[0] = head; in_stack = 1
      :: else -> skip
      fi
#endif
    :: else -> skip
    fi;
    if
    :: in_stack > 0 ->
      in_stack--;
      i = stack[in_stack];
      assert(lent[i] == 0);
      lent[i] = 1;
      ring ! i;
      loans++
    :: else -> skip   /* nothing free: try again later */
    fi
  od;
  lending_done = true;
  /* When the peer is done too, everything is within reach. */
  returned == LOANS;
  do
  :: has_next[head] == 1 ->
    got = next[head];
    assert(lent[head] == 1 && lent[got] == 1);
    lent[head] = 0;
    in_stack++;
    head = got
  :: else -> break
  od;
  assert(in_stack == SLICES - 1)
}

proctype Peer() {
  byte tail = SLICES - 1, slice;
  do
  :: ring ? slice ->
    /* It has the slice alone: nobody else may hold or free it. */
    assert(lent[slice] == 1);
    /* Append */
#ifndef NO_CLEAR
    has_next[slice] = 0;
#endif
#ifdef FLAG_BEFORE_NEXT
    has_next[tail] = 1;
    next[tail] = slice;
#else
    next[tail] = slice;
    has_next[tail] = 1;
#endif
    tail = slice;
    returned++
  :: lending_done && returned == LOANS -> break
  od
}

init {
  byte i;
  atomic {
    for (i : 0 .. SLICES - 1) {
      lent[i] = 1;
      if
      :: i < SLICES - 1 -> next[i] = i + 1; has_next[i] = 1
      :: else -> next[i] = NONE; has_next[i] = 0
      fi
    }
    run Owner();
    run Peer()
  }
}
