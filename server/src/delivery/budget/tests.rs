//! What may wait, for whom, and that all of it is given back.

use super::*;

#[test]
fn shares_come_out_even_whatever_is_written_meanwhile() {
    let budget = Arc::new(Budget::default());
    let account = Account::new(&budget);
    account.belongs_to(UserId::from_bytes([1; 12]));
    let user = budget.users.of(UserId::from_bytes([1; 12]));
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (0..50_000).for_each(|_| _ = account.charge(1_000));
            done.store(1, Ordering::Release);
        });
        // More than was charged: a frame has a head, and there are pings.
        scope.spawn(|| {
            while done.load(Ordering::Acquire) == 0 {
                account.written(1_500);
            }
        });
        let mut greatest = 0;
        while done.load(Ordering::Acquire) == 0 {
            greatest = greatest.max(user.get()).max(budget.waiting());
        }
        assert!(greatest <= CONNECTION_BYTES + 1_500, "{greatest}");
    });
    account.written(OWN_BYTES);
    assert_eq!(shared(account.waiting()), budget.waiting() as isize);
    assert_eq!(user.get(), budget.waiting());
    account.written(usize::MAX);
    assert_eq!((user.get(), budget.waiting()), (0, 0));
}

#[test]
fn one_connection_has_its_limit_and_gives_back_what_it_took() {
    let budget = Arc::new(Budget::default());
    let account = Account::new(&budget);
    account.charge(10).unwrap();
    account.charge(CONNECTION_BYTES / 2 - 10).unwrap();
    account.charge(CONNECTION_BYTES / 2).unwrap();
    assert_eq!(account.charge(1), Err(OverBudget));
    account.written(10);
    account.charge(10).unwrap();
    account.written(usize::MAX);
    account.written(1);
    assert_eq!((account.waiting(), budget.waiting()), (0, 0));
    account.charge(5).unwrap();
    drop(account);
    assert_eq!(budget.waiting(), 0);
}

#[test]
fn what_is_large_is_bounded_by_the_process_alone() {
    let budget = Arc::new(Budget::default());
    let account = Account::new(&budget);
    account.belongs_to(UserId::from_bytes([1; 12]));
    account.charge(CONNECTION_BYTES / 2).unwrap();
    // A message, and its conversation.
    account.charge(16 << 20).unwrap();
    account.charge(16 << 20).unwrap();
    account.charge(CONNECTION_BYTES / 4).unwrap();
    let other = Account::new(&budget);
    other.belongs_to(UserId::from_bytes([1; 12]));
    other.charge(CONNECTION_BYTES / 2).unwrap();
    let poll = budget.charge_user(UserId::from_bytes([1; 12]), 16 << 20).unwrap();
    drop(poll);
    other.charge(8 << 20).unwrap();
    assert_eq!(other.charge(900 << 10), Err(OverBudget));
    for account in [&account, &other] {
        account.written(usize::MAX);
        account.charge(CONNECTION_BYTES / 2).unwrap();
        assert_eq!(account.charge(CONNECTION_BYTES / 2 + 1), Err(OverBudget));
    }
    drop((account, other));
    let user = budget.users.of(UserId::from_bytes([1; 12]));
    assert_eq!((user.get(), user.large(), budget.waiting()), (0, 0, 0));
}

#[test]
fn what_is_held_may_be_large() {
    let budget = Arc::new(Budget::default());
    let account = Account::new(&budget);
    account.belongs_to(UserId::from_bytes([1; 12]));
    let held = account.hold(16 << 20).unwrap();
    account.charge(32 << 20).unwrap();
    account.charge(CONNECTION_BYTES / 2).unwrap();
    assert!(account.hold(16 << 20).is_err(), "of all there is a bound");
    drop((held, account));
    assert_eq!(budget.waiting(), 0);
}

#[test]
fn what_is_held_is_given_back_and_leaves_room_for_little() {
    let budget = Arc::new(Budget::default());
    let accounts: Vec<Account> = (0..200).map(|_| Account::new(&budget)).collect();
    let held: Vec<Held> = accounts.iter().filter_map(|one| one.hold(512 << 10).ok()).collect();
    assert!((100..128).contains(&held.len()), "{}", held.len());
    let little = accounts[0].hold(100 << 10);
    assert!(little.is_ok());
    drop((held, little));
    assert_eq!(budget.waiting(), 0);
}

#[test]
fn stalled_connections_of_a_user_leave_room_for_one_that_reads() {
    let budget = Arc::new(Budget::default());
    let user = UserId::from_bytes([1; 12]);
    let stalled: Vec<Account> = (0..32).map(|_| Account::new(&budget)).collect();
    for account in &stalled {
        account.belongs_to(user);
        while account.charge(1_000).is_ok() {}
    }
    let reading = Account::new(&budget);
    reading.belongs_to(user);
    assert!(budget.waiting() <= USER_BYTES + stalled.len() * OWN_BYTES);
    reading.charge(1_000).unwrap();
    let other = Account::new(&budget);
    other.belongs_to(UserId::from_bytes([2; 12]));
    other.charge(CONNECTION_BYTES).unwrap();
}

#[test]
fn stalled_connections_of_many_users_leave_room_for_one_that_reads() {
    let budget = Arc::new(Budget::default());
    let accounts: Vec<Account> = (0..5_000).map(|_| Account::new(&budget)).collect();
    for account in &accounts {
        while account.charge(1_000).is_ok() {}
    }
    assert!(budget.waiting() <= PROCESS_BYTES + accounts.len() * OWN_BYTES);
    Account::new(&budget).charge(1_000).unwrap();
}
