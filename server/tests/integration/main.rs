//! What apps and operators integrate with, used by the tools that read it: each artefact passes through the outside tool that it is for.

mod chat_client;
mod contract;
mod npm_package;
mod pages;

/// Makes a function of an engine one test for each.
macro_rules! on_both_engines {
    ($($test:ident),+ $(,)?) => {
        $(mod $test {
            #[test]
            fn embedded() {
                super::$test(testkit::Engine::Embedded);
            }
            #[test]
            fn mongo() {
                super::$test(testkit::Engine::Mongo);
            }
        })+
    };
}
use on_both_engines;
