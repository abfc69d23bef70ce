"""All use cases of one node, built together."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.services.approvals import Approvals
from jobs.services.asking import Asking
from jobs.services.attendance import Attendance
from jobs.services.badges import Badges
from jobs.services.batches import Batches
from jobs.services.behalf import Behalf
from jobs.services.being_there import BeingThere
from jobs.services.bookings import Bookings
from jobs.services.checklists import Checklists
from jobs.services.clearing import Clearing
from jobs.services.clock import Clock
from jobs.services.contests import Contests
from jobs.services.contributed import Contributed
from jobs.services.copies import Copies
from jobs.services.cycle_start import CycleStart
from jobs.services.day_sheet import DaySheet
from jobs.services.designs import Designs
from jobs.services.devices import Devices
from jobs.services.dispatch import Dispatch
from jobs.services.faults import Faults
from jobs.services.feeds import Feeds
from jobs.services.foresight import Foresight
from jobs.services.hand import Hand
from jobs.services.history import History
from jobs.services.house import House
from jobs.services.house_visits import HouseVisits
from jobs.services.importing import Importing
from jobs.services.instructions import Instructions
from jobs.services.joining import Joining
from jobs.services.kiosk import Kiosk
from jobs.services.lab import Lab
from jobs.services.lab_sharing import LabSharing
from jobs.services.lapsing import Lapsing
from jobs.services.lasers import Lasers
from jobs.services.learning import Learning
from jobs.services.leaving import Leaving
from jobs.services.ledger import Ledger
from jobs.services.loaded import Loading
from jobs.services.looks import Looks
from jobs.services.machines import Machines
from jobs.services.modules import Modules
from jobs.services.money import Money
from jobs.services.money_lab import MoneyLab
from jobs.services.notices import Notices
from jobs.services.offering import Offers
from jobs.services.outbox import Outbox
from jobs.services.outside import Outside
from jobs.services.passkeys import Passkeys
from jobs.services.people import People
from jobs.services.photo_keeping import PhotoKeeping
from jobs.services.pictures import Pictures
from jobs.services.pins import Pins
from jobs.services.planning import Planning
from jobs.services.ports import Ports
from jobs.services.power import PowerByUse
from jobs.services.preparation import Preparation
from jobs.services.prices import Prices
from jobs.services.programs import Programs
from jobs.services.proposals import Proposals
from jobs.services.proving import Proving
from jobs.services.qualifications import Qualifications
from jobs.services.queue import Queue
from jobs.services.repeating import Repeating
from jobs.services.resuming import Resuming
from jobs.services.retention import Retention
from jobs.services.runs import Runs
from jobs.services.second_step import SecondSteps
from jobs.services.servicing import Servicing
from jobs.services.slots import SlotChoice
from jobs.services.standings import Standings
from jobs.services.swapping import Swapping
from jobs.services.sweep import Sweep
from jobs.services.terms import TermsOf
from jobs.services.trainings import Trainings
from jobs.services.uses import Uses
from jobs.services.waiting import Waiting
from jobs.services.waiving import Waiving
from jobs.services.weighing import Weighing
from jobs.services.wirelogs import WireLogs
from jobs.services.wondering import Wondering
from jobs.services.workshop import Workshop
from jobs.services.workstations import Workstations


@dataclass(frozen=True, slots=True)
class Services:
    """What `web` and `node` are handed."""

    workshop: Workshop
    clock: Clock
    modules: Modules
    clearing: Clearing
    photos: PhotoKeeping
    contests: Contests
    importing: Importing
    prices: Prices
    money: Money
    money_lab: MoneyLab
    contributed: Contributed
    day_sheet: DaySheet
    servicing: Servicing
    history: History
    faults: Faults
    checklists: Checklists
    people: People
    retention: Retention
    looks: Looks
    leaving: Leaving
    behalf: Behalf
    standings: Standings
    joining: Joining
    badges: Badges
    pins: Pins
    second_steps: SecondSteps
    passkeys: Passkeys
    outside: Outside
    workstations: Workstations
    lab: Lab
    machines: Machines
    lasers: Lasers
    uses: Uses
    power: PowerByUse
    loading: Loading
    terms: TermsOf
    asking: Asking
    slots: SlotChoice
    batches: Batches
    planning: Planning
    foresight: Foresight
    weighing: Weighing
    hand: Hand
    notices: Notices
    bookings: Bookings
    approvals: Approvals
    house: House
    visits: HouseVisits
    proposals: Proposals
    qualifications: Qualifications
    trainings: Trainings
    instructions: Instructions
    learning: Learning
    wondering: Wondering
    there: BeingThere
    offers: Offers
    waiting: Waiting
    repeating: Repeating
    swapping: Swapping
    lapsing: Lapsing
    sharing: LabSharing
    feeds: Feeds
    queue: Queue
    preparation: Preparation
    resuming: Resuming
    waiving: Waiving
    dispatch: Dispatch
    cycle: CycleStart
    proving: Proving
    devices: Devices
    kiosk: Kiosk
    attendance: Attendance
    ports: Ports
    runs: Runs
    designs: Designs
    ledger: Ledger
    outbox: Outbox
    sweep: Sweep
    wire_logs: WireLogs
    pictures: Pictures
    copies: Copies


def build_services(workshop: Workshop) -> Services:
    """Build every use case on one workshop."""
    people, queue = People(workshop), Queue(workshop)
    runs = Runs(workshop)
    uses = Uses(workshop)
    house = House(workshop)
    dispatch = Dispatch(workshop, runs)
    programs = Programs(workshop.work_dir)
    return Services(
        workshop=workshop,
        clock=Clock(workshop),
        modules=Modules(workshop),
        clearing=Clearing(workshop),
        photos=PhotoKeeping(workshop),
        contests=Contests(workshop),
        importing=Importing(workshop),
        prices=Prices(workshop),
        money=Money(workshop),
        money_lab=MoneyLab(workshop),
        contributed=Contributed(workshop),
        day_sheet=DaySheet(workshop),
        servicing=Servicing(workshop),
        history=History(workshop),
        faults=Faults(workshop),
        checklists=Checklists(workshop),
        people=people,
        behalf=Behalf(workshop),
        retention=Retention(workshop),
        looks=Looks(workshop),
        leaving=Leaving(workshop),
        standings=Standings(workshop),
        joining=Joining(workshop),
        badges=Badges(workshop),
        pins=Pins(workshop),
        second_steps=SecondSteps(workshop),
        passkeys=Passkeys(workshop),
        outside=Outside(workshop, people),
        workstations=Workstations(workshop, queue),
        lab=Lab(workshop),
        machines=Machines(workshop),
        lasers=Lasers(workshop),
        uses=uses,
        power=PowerByUse(workshop, uses),
        loading=Loading(workshop),
        terms=TermsOf(workshop),
        asking=Asking(workshop),
        slots=SlotChoice(workshop),
        batches=Batches(workshop),
        planning=Planning(workshop),
        foresight=Foresight(workshop),
        weighing=Weighing(workshop),
        hand=Hand(workshop),
        notices=Notices(workshop),
        bookings=Bookings(workshop),
        approvals=Approvals(workshop),
        house=house,
        visits=HouseVisits(workshop),
        proposals=Proposals(workshop, house),
        qualifications=Qualifications(workshop),
        trainings=Trainings(workshop),
        instructions=Instructions(workshop),
        learning=Learning(workshop),
        wondering=Wondering(workshop),
        there=BeingThere(workshop),
        offers=Offers(workshop),
        waiting=Waiting(workshop),
        repeating=Repeating(workshop),
        swapping=Swapping(workshop),
        lapsing=Lapsing(workshop),
        sharing=LabSharing(workshop),
        feeds=Feeds(workshop),
        queue=queue,
        preparation=Preparation(workshop, programs),
        resuming=Resuming(workshop, programs),
        waiving=Waiving(workshop),
        dispatch=dispatch,
        cycle=CycleStart(workshop, dispatch),
        proving=Proving(workshop),
        devices=Devices(workshop),
        kiosk=Kiosk(workshop),
        attendance=Attendance(workshop),
        ports=Ports(workshop),
        runs=runs,
        designs=Designs(workshop),
        ledger=Ledger(workshop),
        outbox=Outbox(workshop),
        sweep=Sweep(workshop, programs),
        wire_logs=WireLogs(workshop),
        pictures=Pictures(workshop),
        copies=Copies(workshop),
    )
