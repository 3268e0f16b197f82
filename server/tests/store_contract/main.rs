//! The contract of `server::storage::Store`: every scenario runs against every engine.
//!
//! The scenarios are grouped as the traits are: `messages`, `receipts`, `feed`, `inbox`, `users`, `presence`; `lifecycle`
//! and `length` are about the store as a whole.
//!
//! A scenario is an async function over an [`engine::Engine`], which opens the same database again and again. The
//! one list below names them all; a scenario that is not in it is dead code, and the compiler says so. What only one
//! engine promises is tested in `embedded_only.rs` and beside that engine's code.

#![expect(clippy::disallowed_methods, reason = "tests wait for times and hold little")]
// Tells clippy that the scenarios, which carry no #[test] themselves, are tests.
#![cfg(test)]

mod data;
mod embedded_only;
mod engine;
mod feed;
mod inbox;
mod length;
mod lifecycle;
mod messages;
mod presence;
mod receipts;
mod users;

/// Makes a test of each scenario for each engine.
macro_rules! contract {
    ($name:ident: $engine:ty; $($area:ident $(in $group:ident)?: $($scenario:ident)*;)*) => {
        mod $name {
            $(mod $area {
                use crate::$($group::)?$area as scenarios;

                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $scenario() {
                        let engine = <$engine>::new();
                        scenarios::$scenario(&engine).await;
                        engine.discard().await;
                    }
                )*
            })*
        }
    };
    ($($area:ident $(in $group:ident)?: $($scenario:ident)*;)*) => {
        contract! { on_embedded: crate::engine::Embedded; $($area $(in $group)?: $($scenario)*;)* }
        contract! { on_mongo: crate::engine::Mongo; $($area $(in $group)?: $($scenario)*;)* }
    };
}

contract! {
    append in messages:
        lists_in_the_order_of_sending
        orders_one_millisecond_by_id
        answers_in_order_and_fails_alone
        keeps_every_text
        keeps_a_conversation_with_oneself
        takes_a_sender_that_is_no_user
        takes_an_empty_batch
        takes_a_full_batch
        stores_concurrent_batches_exactly_once
        finds_a_message_in_its_conversation_only;
    idempotency in messages:
        answers_a_repetition_with_the_first_message
        recognises_repetitions_within_a_batch
        remembers_after_reopening
        refuses_another_text_or_receiver
        separates_senders_and_spellings
        forgets_what_was_refused
        stores_one_of_two_at_once
        takes_the_very_same_message_again
        refuses_an_id_of_another_message;
    pages in messages:
        agree_with_a_model
        have_exact_edges
        of_an_unknown_conversation_are_empty;
    history in messages:
        is_all_pages
        streams_ten_thousand
        is_empty_without_messages
        can_be_dropped_early
        can_be_read_while_others_write;
    receipts:
        are_missing_at_first
        only_move_forward
        imply_receiving_by_reading
        are_ordered_by_place_within_a_moment
        refuse_unknown_messages
        are_taken_in_batches
        end_at_the_furthest_of_concurrent_marks
        of_oneself_are_one
        survive_reopening;
    feed:
        is_empty_at_first
        has_what_concerns_the_user_in_order
        agrees_with_a_model
        continues_from_any_committed_position
        never_skips_while_others_write
        continues_after_reopening
        holds_watermarks_for_both
        holds_settings_for_their_owner
        refuses_the_cursor_of_another_database;
    list in inbox:
        is_empty_without_messages
        holds_what_was_just_stored
        agrees_with_a_model
        is_complete_after_reopening
        can_be_rebuilt_while_others_write
        knows_who_has_exchanged_a_message;
    unread in inbox:
        counts_what_the_peer_wrote_after_the_watermark
        stops_at_the_limit
        counts_many_conversations_together
        ends_with_an_answer
        begins_with_the_first_start
        does_not_begin_in_the_future
        is_none_with_oneself
        agrees_with_a_model
        is_right_when_marked_before_and_after_it_is_listed;
    accounts in users:
        are_created_once_and_found_again
        given_twice_are_created_once
        are_created_a_thousand_at_a_time
        are_created_once_by_concurrent_callers
        are_found_by_exact_name
        are_found_by_ids_in_their_order
        are_listed_in_pages;
    identities in users:
        are_created_once_and_stay_as_they_are
        get_another_name_where_theirs_is_taken
        are_compared_as_they_are
        are_one_user_for_concurrent_callers
        are_found_after_reopening
        show_what_is_known_of_them
        are_given_to_users_who_are_here;
    settings in users:
        have_a_default
        change_one_by_one
        of_nobody_are_none
        survive_reopening;
    access in users:
        lets_in_at_first
        revokes_and_never_takes_that_back
        bans_and_lifts_bans
        survives_reopening;
    presence:
        is_set_and_unset
        takes_the_last_of_several_changes
        ignores_unknown_users
        ends_with_a_crash;
    lifecycle:
        keeps_everything_over_a_restart
        takes_users_offline_on_closing
        returns_the_newest_time
        answers_a_ping;
    length:
        ends_pages_of_changes
        ends_chunks_and_pages_of_a_conversation;
}
