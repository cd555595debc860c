/*
 * The event ring and its wake-up: native/src/core/event_queue.cc, session.cc, and the turns of
 * native/src/node/session_object.cc.
 *
 * One producer publishes MESSAGES events in bursts and wakes the consumer once per burst, when it
 * sleeps. Checked: no event is lost, overwritten or taken twice, and nobody waits for ever: every
 * end state is one in which all events were taken.
 *
 * Variants that must fail, each one weakened step of the code:
 *   -DNO_RECHECK     TrySleep does not look at the tail again
 *   -DRECHECK_FIRST  the re-check is read before the flag is cleared: the store-load pair reordered
 *   -DFLAG_FIRST     the producer looks at the flag before it publishes
 *   -DEARLY_ADVANCE  Advance before the slot was copied out
 */
#define CAPACITY 2
#define MESSAGES 5

byte slots[CAPACITY];
byte head = 0;        /* written by the consumer */
byte tail = 0;        /* written by the producer */
bit working = 0;      /* set by the producer, cleared by the consumer */
bit wake = 0;         /* the eventfd: written twice before it is read, it wakes once */
byte taken = 0;

inline claim_wake_up() {
  atomic { sleeping = (working == 0); working = 1 }
  if
  :: sleeping -> wake = 1
  :: else -> skip
  fi
}

proctype Producer() {
  byte next = 0;
  bool sleeping;
  do
  :: next == MESSAGES -> break
  :: next < MESSAGES && tail - head < CAPACITY ->
#ifdef FLAG_FIRST
    sleeping = (working == 0);
#endif
    slots[tail % CAPACITY] = next + 1;
    tail++;
    next++;
#ifdef FLAG_FIRST
    if
    :: sleeping -> working = 1; wake = 1
    :: else -> skip
    fi
#else
    if
    :: claim_wake_up()                       /* the end of a turn */
    :: next < MESSAGES -> goto burst         /* one more in the same turn */
    fi;
#endif
    goto next_message;
burst:
    /* A turn ends before the producer may wait for room. */
    if
    :: tail - head < CAPACITY -> skip
    :: else -> claim_wake_up()
    fi;
next_message:
    skip
  od
}

proctype Consumer() {
  byte event, last = 0, seen_tail;
  bool more;
  do
  :: taken == MESSAGES -> break
  :: wake == 1 ->
    wake = 0;
drain:
    do
    :: tail - head > 0 ->
#ifdef EARLY_ADVANCE
      head++;
      event = slots[(head - 1) % CAPACITY];
#else
      event = slots[head % CAPACITY];
      head++;
#endif
      assert(event == last + 1);
      last = event;
      taken++
    :: else -> break
    od;
#ifdef RECHECK_FIRST
    seen_tail = tail;
    working = 0;
    more = (seen_tail != head);
#else
    working = 0;
#ifdef NO_RECHECK
    more = false;
#else
    more = (tail != head);
#endif
#endif
    if
    :: more -> working = 1; goto drain
    :: else -> skip
    fi
  od
}

init {
  atomic { run Producer(); run Consumer() }
}
