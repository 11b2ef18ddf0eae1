"""What a booking must know across patients and clinics, and that it costs little to hold."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE travel_time (
  doctor_id uuid NOT NULL REFERENCES calendar,
  first_clinic_id uuid NOT NULL REFERENCES clinic,
  second_clinic_id uuid NOT NULL REFERENCES clinic,
  minutes integer NOT NULL,
  PRIMARY KEY (doctor_id, first_clinic_id, second_clinic_id),
  CONSTRAINT travel_time_order_check CHECK (first_clinic_id < second_clinic_id),
  CONSTRAINT travel_time_minutes_check CHECK (minutes BETWEEN 1 AND 720)
);
"""

# As the owner: the visits of others are hidden from the patient who asks for a time.
FUNCTIONS = """
-- When visits of a type start and end, and for how many patients; what others hold, too. `shared`
-- says that it is a session as the type now is, which more patients may join. The visit `moved`
-- does not count.
CREATE FUNCTION booked_times(
  practice uuid, visit_type uuid, since timestamptz, until timestamptz, moved uuid)
RETURNS TABLE (start_time timestamptz, end_time timestamptz, seats integer, shared boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT v.start_time, max(v.end_time), count(*)::integer, bool_or(v.shared) FROM (
    SELECT a.start_time, a.end_time, c.claim_id IS NOT NULL AS shared
      FROM appointment a
      JOIN visit_type t ON t.visit_type_id = a.visit_type_id
      LEFT JOIN claim c ON c.claim_id = a.session_id
       AND c.start_time = a.start_time - make_interval(mins => t.buffer_before_minutes)
       AND c.end_time
         = a.start_time + make_interval(mins => t.length_minutes + t.buffer_after_minutes)
     WHERE a.practice_id = practice AND a.visit_type_id = visit_type
       AND a.start_time >= since AND a.start_time < until AND a.status <> 'cancelled'
       AND (a.expire_time IS NULL OR a.expire_time > app_now())
       AND a.appointment_id IS DISTINCT FROM moved
    UNION ALL
    SELECT h.start_time, h.end_time, c.kind = 'session'
       AND c.start_time = h.start_time - make_interval(mins => t.buffer_before_minutes)
       AND c.end_time
         = h.start_time + make_interval(mins => t.length_minutes + t.buffer_after_minutes)
      FROM practice p
      JOIN claim c ON c.doctor_id = p.doctor_id
      JOIN hold h ON h.claim_id = c.claim_id
      JOIN visit_type t ON t.visit_type_id = h.visit_type_id
     WHERE p.practice_id = practice AND h.visit_type_id = visit_type
       AND c.start_time >= since - interval '2 days' AND c.start_time < until
       AND h.start_time >= since AND h.start_time < until
       AND h.expire_time > app_now() AND h.holder_id IS DISTINCT FROM app_user()
  ) v GROUP BY v.start_time
$$;
-- When a doctor is at other clinics, with the ways there and back, where some are known.
CREATE FUNCTION away_times(
  doctor uuid, clinic uuid, since timestamptz, until timestamptz, moved uuid)
RETURNS TABLE (start_time timestamptz, end_time timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT c.start_time - make_interval(mins => t.minutes),
         c.end_time + make_interval(mins => t.minutes)
    FROM travel_time t
    JOIN claim c ON c.doctor_id = t.doctor_id
    LEFT JOIN appointment a ON a.appointment_id = c.claim_id
    LEFT JOIN LATERAL (SELECT s.clinic_id FROM appointment s
                        WHERE s.session_id = c.claim_id LIMIT 1) g ON true
    LEFT JOIN LATERAL (SELECT h.clinic_id, bool_and(h.holder_id = app_user()) AS own
                         FROM hold h WHERE h.claim_id = c.claim_id
                        GROUP BY h.clinic_id) h ON true
   CROSS JOIN LATERAL (SELECT coalesce(a.clinic_id, g.clinic_id, h.clinic_id) AS clinic_id) o
   WHERE t.doctor_id = doctor AND clinic IN (t.first_clinic_id, t.second_clinic_id)
     AND o.clinic_id <> clinic AND o.clinic_id IN (t.first_clinic_id, t.second_clinic_id)
     AND c.start_time BETWEEN since AND until
     AND (c.expire_time IS NULL OR c.expire_time > app_now())
     AND c.claim_id IS DISTINCT FROM moved
     AND (g.clinic_id IS NOT NULL OR h.own IS NOT TRUE)
$$;
"""

# As the owner: the policies of accounts ask for every reason to see one, and this is the first.
OWN_PATIENT = """
-- The caller, or a dependant of theirs, while no visit that is not paid for is in the way.
CREATE FUNCTION own_patient(patient uuid, since timestamptz, until timestamptz)
RETURNS TABLE (account_id uuid, full_name text, phone text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT p.account_id, coalesce(p.full_name, u.full_name), u.phone
    FROM patient p JOIN user_account u ON u.user_id = p.account_id
   WHERE p.patient_id = patient AND p.account_id = app_user() AND p.end_time IS NULL
     AND NOT EXISTS (SELECT FROM appointment a WHERE a.patient_id = patient
       AND a.status = 'pending_payment' AND a.start_time < until AND a.end_time > since)
$$;
REVOKE EXECUTE ON FUNCTION own_patient FROM PUBLIC;
GRANT EXECUTE ON FUNCTION own_patient TO carelane_app;
"""

# An instant of one owner is 24 bytes that sort as the two do (on either side of the year 2000),
# which costs a fraction of comparing records; so does the constraint.
BYTES = """
CREATE TYPE owner_period AS RANGE (SUBTYPE = bytea);
CREATE FUNCTION period_of(owner uuid, start_time timestamptz, end_time timestamptz)
RETURNS owner_period LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT public.owner_period(uuid_send(owner) || timestamptz_send(start_time),
                             uuid_send(owner) || timestamptz_send(end_time))
$$;
"""
RECORDS = """
CREATE TYPE owner_instant AS (owner uuid, instant timestamptz);
CREATE TYPE owner_period AS RANGE (SUBTYPE = owner_instant);
CREATE FUNCTION period_of(owner uuid, start_time timestamptz, end_time timestamptz)
RETURNS owner_period LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT public.owner_period(ROW(owner, start_time)::public.owner_instant,
                             ROW(owner, end_time)::public.owner_instant)
$$;
"""
DROP = """
ALTER TABLE claim DROP CONSTRAINT claim_overlap;
ALTER TABLE appointment DROP CONSTRAINT appointment_patient_overlap;
DROP FUNCTION period_of;
DROP TYPE owner_period;
"""
ADD = """
ALTER TABLE claim ADD CONSTRAINT claim_overlap EXCLUDE USING gist
  (period_of(doctor_id, start_time, end_time) WITH &&);
ALTER TABLE appointment ADD CONSTRAINT appointment_patient_overlap EXCLUDE USING gist
  (period_of(patient_id, start_time, end_time) WITH &&)
  WHERE (status IN ('pending_payment', 'booked', 'checked_in', 'in_consultation'));
"""
SIGNATURES = (
    "booked_times(uuid, uuid, timestamptz, timestamptz, uuid)",
    "away_times(uuid, uuid, timestamptz, timestamptz, uuid)",
)


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(FUNCTIONS)
    op.execute(f"{DROP} DROP TYPE owner_instant; {BYTES} {ADD}")
    op.execute(OWN_PATIENT)
    for function in SIGNATURES:
        op.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO carelane_app, carelane_worker")
    protect("travel_time")
    allow("travel_time", "carelane_app", "SELECT")
    allow("travel_time", "carelane_worker", "SELECT")
    allow(
        "travel_time", "carelane_app", "INSERT, UPDATE, DELETE", "doctor_id = (SELECT app_user())"
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION own_patient")
    op.execute(f"{DROP} {RECORDS} {ADD}")
    for function in SIGNATURES:
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP TABLE travel_time")
