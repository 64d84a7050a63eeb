//! First light, end to end: the whole lab, seen through the commands that its user types.
//!
//! One lab serves all trials, in this order, and a second small one those of access mode Bridged; it is taken down at the end,
//! whatever happened. Needs root and the machine's one
//! lab: `cargo test -p lastmile-lab --features e2e --test first_light`.

mod bridged;
mod causes;
mod coa;
mod dhcp;
mod end;
mod gateway;
mod kubernetes;
mod lab;
mod life;
mod policy;
mod record;
mod restart;
mod routers;
mod shape;
mod trust;

use std::sync::{Mutex, PoisonError};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::lab::Lab;

type Check = fn(&Lab) -> Result<(), String>;

/// In the order in which they run: later ones end sessions that earlier ones look at.
const CHECKS: &[(&str, Check)] = &[
    ("bngs_are_ready_and_say_how_they_are", kubernetes::bngs_are_ready),
    ("seven_sessions_are_authorized_and_one_is_rejected", kubernetes::sessions_are_listed),
    ("sessions_are_found_by_name_and_label_in_every_form", kubernetes::sessions_by_name_and_label),
    ("sessions_are_described_and_explained", kubernetes::describe_and_explain),
    ("routers_and_policies_are_listed", kubernetes::routers_and_policies),
    ("a_bng_that_cannot_work_is_refused_with_a_sentence", kubernetes::bad_bng_is_refused),
    ("an_unknown_node_is_a_condition", kubernetes::unknown_node_is_said),
    ("a_missing_secret_is_a_condition_that_heals", kubernetes::missing_secret_heals),
    ("kea_saw_circuit_remote_and_relay_id", record::kea_saw_option_82),
    ("the_gate_is_open_for_the_authorized_only", gateway::gate_is_open_for_the_authorized),
    ("subscribers_reach_neither_node_nor_services", gateway::protected_networks),
    ("traffic_is_counted_for_the_subscriber", gateway::traffic_is_counted),
    ("a_malformed_frame_is_counted_and_dropped", gateway::malformed_frame_is_counted),
    ("an_edited_policy_reaches_live_sessions", policy::edited),
    ("a_deleted_policy_falls_back_and_says_so", policy::deleted),
    ("a_rejected_subscriber_reaches_its_walled_garden_only", policy::garden),
    ("shaping_reaches_live_sessions_and_goes_again", shape::on_and_off),
    ("every_kind_of_event_and_every_table_is_there", record::events_and_tables),
    ("the_dashboard_shows_sessions_and_bngs", gateway::dashboard),
    ("a_gateway_killed_goes_on_where_it_was", restart::gateway_killed),
    ("control_plane_killed_heals_by_itself", restart::control_plane_killed),
    ("helm_upgrade_cuts_nobody_off", restart::helm_upgrade),
    ("a_stopped_service_is_said_and_heals", restart::services_stopped),
    ("a_second_lab_is_refused", restart::second_lab),
    ("kubectl_get_sessions_watches", kubernetes::watch),
    ("accounting_follows_the_counters", life::interim),
    ("a_renewal_and_a_rebind_prolong_the_session", dhcp::renewals),
    ("an_inform_is_answered_and_changes_nothing", dhcp::inform),
    ("a_router_dies_and_comes_back", routers::dies_and_comes_back),
    ("coa_changes_the_policy_of_a_live_session", coa::filter_id_changes_live),
    ("a_disconnect_request_ends_a_session", coa::disconnects),
    ("a_release_moves_the_session_to_history", life::release),
    ("kubectl_delete_session_disconnects", life::delete_session),
    ("an_undeclared_router_is_not_served_where_only_declared_ones_are", trust::listed_only),
    ("a_declined_address_is_another_session", dhcp::decline),
    ("a_lease_that_is_gone_from_kea_ends_its_session", dhcp::lease_gone),
    ("a_lease_that_runs_out_is_lost_carrier", causes::lease_runs_out),
    ("another_device_preempts_the_port", causes::another_device),
    ("another_address_is_another_session", causes::another_address),
    ("a_policy_s_idle_timeout_ends_live_sessions", causes::idle_timeout),
    ("a_policy_s_session_timeout_ends_live_sessions", causes::session_timeout),
    ("a_lost_journal_loses_no_subscriber", causes::journal_lost),
    ("a_bng_that_ends_undrained_is_cleaned_up_and_can_begin_again", end::undrained),
    ("kubectl_delete_bng_drains", life::delete_bng),
];

/// Likewise in the lab of `lab/bridged`.
const BRIDGED: &[(&str, Check)] = &[
    ("bridged_a_gateway_on_the_subscribers_link_is_ready", bridged::ready),
    ("bridged_subscribers_are_on_record_everywhere", bridged::on_record),
    ("bridged_a_release_ends_the_session", bridged::release),
    ("bridged_another_device_preempts_the_port", bridged::another_device),
    ("bridged_kubectl_delete_bng_drains", bridged::delete_bng),
];

/// The lab that is up; the machine has one.
static LAB: Mutex<Option<Lab>> = Mutex::new(None);

fn main() {
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let all = CHECKS.iter().map(|check| ("", check)).chain(BRIDGED.iter().map(|check| ("bridged", check)));
    let trials = all.map(|(folder, &(name, check))| Trial::test(name, move || trial(folder, name, check))).collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(Err(error)) = LAB.lock().unwrap_or_else(PoisonError::into_inner).take().map(|lab| lab.down()) {
        eprintln!("{error}");
        std::process::exit(1);
    }
    conclusion.exit();
}

/// Runs a check in the lab of a folder, which takes the place of the one before.
fn trial(folder: &'static str, name: &str, check: Check) -> Result<(), Failed> {
    let mut up = LAB.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(other) = up.take_if(|lab| lab.folder != folder) {
        other.down()?;
    }
    let lab = match &mut *up {
        Some(lab) => lab,
        none => none.insert(Lab::up(folder).unwrap_or_else(|error| {
            eprintln!("the lab did not come up: {error}");
            std::process::exit(1)
        })),
    };
    check(lab).map_err(|error| lab.failed(name, error))
}

impl Lab {
    fn failed(&self, name: &str, error: String) -> Failed {
        eprintln!("--- {name}: {error}\n{}", self.picture());
        error.into()
    }
}
