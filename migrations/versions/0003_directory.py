"""Specialties, places, clinics and their members, doctors, practices and visit types."""

from alembic import op

from migrations.ddl import allow, protect

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE specialty (
  specialty_id uuid PRIMARY KEY DEFAULT new_id(),
  slug text NOT NULL UNIQUE,
  name text NOT NULL,
  practitioner text NOT NULL,
  description text NOT NULL
);
CREATE TABLE symptom (
  phrase text NOT NULL,
  specialty_id uuid NOT NULL REFERENCES specialty,
  weight integer NOT NULL DEFAULT 5,
  PRIMARY KEY (phrase, specialty_id)
);
CREATE TABLE city (
  city_id uuid PRIMARY KEY DEFAULT new_id(),
  slug text NOT NULL UNIQUE,
  name text NOT NULL,
  region text NOT NULL,
  country_code text NOT NULL,
  latitude double precision NOT NULL,
  longitude double precision NOT NULL,
  time_zone text NOT NULL,
  population integer NOT NULL
);
CREATE INDEX city_name ON city (name, city_id);

CREATE TABLE clinic (
  clinic_id uuid PRIMARY KEY DEFAULT new_id(),
  kind text NOT NULL CHECK (kind IN ('clinic', 'hospital')),
  name text NOT NULL,
  address text NOT NULL,
  city_id uuid NOT NULL REFERENCES city,
  latitude double precision,
  longitude double precision,
  time_zone text NOT NULL,
  phone text NOT NULL DEFAULT '',
  currency_code text NOT NULL,
  create_time timestamptz NOT NULL DEFAULT app_now(),
  update_time timestamptz NOT NULL DEFAULT app_now()
);
CREATE INDEX clinic_city ON clinic (city_id, kind, name, clinic_id);
CREATE INDEX clinic_kind ON clinic (kind, name, clinic_id);

CREATE TABLE clinic_member (
  clinic_id uuid NOT NULL REFERENCES clinic,
  user_id uuid NOT NULL REFERENCES user_account,
  role text NOT NULL CHECK (role IN ('owner', 'manager', 'front_desk', 'doctor')),
  create_time timestamptz NOT NULL DEFAULT app_now(),
  PRIMARY KEY (clinic_id, user_id)
);
CREATE INDEX clinic_member_user ON clinic_member (user_id, clinic_id);

CREATE TABLE doctor_profile (
  doctor_id uuid PRIMARY KEY REFERENCES user_account,
  full_name text NOT NULL,
  qualifications text NOT NULL,
  practising_since integer NOT NULL,
  languages text[] NOT NULL,
  bio text NOT NULL DEFAULT '',
  verification_status text NOT NULL DEFAULT 'pending'
    CHECK (verification_status IN ('pending', 'verified', 'rejected')),
  rating double precision NOT NULL DEFAULT 0,
  rating_count integer NOT NULL DEFAULT 0,
  rank double precision NOT NULL DEFAULT 0,
  revision integer NOT NULL DEFAULT 1,
  create_time timestamptz NOT NULL DEFAULT app_now(),
  update_time timestamptz NOT NULL DEFAULT app_now()
);
CREATE INDEX doctor_profile_rank ON doctor_profile (rank DESC, doctor_id)
  WHERE verification_status = 'verified';
CREATE INDEX doctor_profile_experience ON doctor_profile (practising_since, doctor_id)
  WHERE verification_status = 'verified';

CREATE TABLE doctor_specialty (
  doctor_id uuid NOT NULL REFERENCES doctor_profile,
  specialty_id uuid NOT NULL REFERENCES specialty,
  position integer NOT NULL,
  PRIMARY KEY (doctor_id, specialty_id)
);
CREATE INDEX doctor_specialty_specialty ON doctor_specialty (specialty_id, doctor_id);

CREATE TABLE verification (
  verification_id uuid PRIMARY KEY DEFAULT new_id(),
  doctor_id uuid NOT NULL REFERENCES doctor_profile,
  licence_number text NOT NULL,
  licence_council text NOT NULL,
  licence_year integer NOT NULL,
  status text NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'verified', 'rejected', 'superseded')),
  reason text NOT NULL DEFAULT '',
  create_time timestamptz NOT NULL DEFAULT app_now(),
  decide_time timestamptz,
  decided_by uuid
);
CREATE UNIQUE INDEX verification_licence
  ON verification (lower(licence_council), lower(licence_number))
  WHERE status IN ('pending', 'verified');
CREATE UNIQUE INDEX verification_live ON verification (doctor_id)
  WHERE status IN ('pending', 'verified');
CREATE INDEX verification_doctor ON verification (doctor_id, verification_id);
CREATE INDEX verification_queue ON verification (create_time, verification_id)
  WHERE status = 'pending';

CREATE TABLE practice (
  practice_id uuid PRIMARY KEY DEFAULT new_id(),
  doctor_id uuid NOT NULL REFERENCES doctor_profile,
  clinic_id uuid NOT NULL REFERENCES clinic,
  fee numeric(14, 3) NOT NULL CHECK (fee >= 0),
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'ended')),
  create_time timestamptz NOT NULL DEFAULT app_now(),
  UNIQUE (doctor_id, clinic_id),
  UNIQUE (clinic_id, practice_id),
  UNIQUE (clinic_id, practice_id, doctor_id)
);
CREATE INDEX practice_clinic ON practice (clinic_id, doctor_id);

CREATE TABLE visit_type (
  visit_type_id uuid PRIMARY KEY DEFAULT new_id(),
  practice_id uuid NOT NULL REFERENCES practice,
  name text NOT NULL,
  length_minutes integer NOT NULL CHECK (length_minutes BETWEEN 1 AND 1440),
  buffer_before_minutes integer NOT NULL DEFAULT 0,
  buffer_after_minutes integer NOT NULL DEFAULT 0,
  interval_minutes integer NOT NULL CHECK (interval_minutes BETWEEN 1 AND 1440),
  offset_minutes integer NOT NULL DEFAULT 0,
  notice_minutes integer NOT NULL DEFAULT 0,
  horizon_days integer NOT NULL DEFAULT 60,
  price numeric(14, 3) NOT NULL CHECK (price >= 0),
  is_default boolean NOT NULL DEFAULT false,
  UNIQUE (practice_id, visit_type_id),
  CONSTRAINT visit_type_buffers_check
    CHECK (buffer_before_minutes >= 0 AND buffer_after_minutes >= 0)
);
CREATE UNIQUE INDEX visit_type_default ON visit_type (practice_id) WHERE is_default;
"""

# As the owner, since the policies of clinic_member themselves ask them.
FUNCTIONS = """
-- The clinics at which the caller works, in any role.
CREATE FUNCTION app_memberships() RETURNS uuid[] LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT coalesce(array_agg(clinic_id), '{}') FROM clinic_member WHERE user_id = app_user()
$$;
-- Those whose whole schedule is the caller's business: all but where they are a doctor only.
CREATE FUNCTION app_clinics() RETURNS uuid[] LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT coalesce(array_agg(clinic_id), '{}') FROM clinic_member
   WHERE user_id = app_user() AND role <> 'doctor'
$$;
-- Those whose members the caller may choose.
CREATE FUNCTION app_managed_clinics() RETURNS uuid[] LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT coalesce(array_agg(clinic_id), '{}') FROM clinic_member
   WHERE user_id = app_user() AND role IN ('owner', 'manager')
$$;
-- Those whose managers and owners, too, the caller may choose.
CREATE FUNCTION app_owned_clinics() RETURNS uuid[] LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT coalesce(array_agg(clinic_id), '{}') FROM clinic_member
   WHERE user_id = app_user() AND role = 'owner'
$$;
-- Whether a clinic has no member yet: who opens it becomes its first owner. Hospitals come with
-- the reference data; nobody takes one by being first.
CREATE FUNCTION clinic_is_empty(clinic uuid) RETURNS boolean LANGUAGE sql STABLE
SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT EXISTS (SELECT FROM clinic c WHERE c.clinic_id = clinic AND c.kind = 'clinic')
     AND NOT EXISTS (SELECT FROM clinic_member WHERE clinic_id = clinic)
$$;
-- The account behind an e-mail address, for those who may let somebody work at a clinic.
CREATE FUNCTION find_account(address text)
RETURNS TABLE (user_id uuid, email text, full_name text, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
  SELECT u.user_id, u.email, u.full_name, u.role FROM user_account u
   WHERE lower(u.email) = lower(address) AND u.status = 'active'
     AND cardinality(app_managed_clinics()) > 0
$$;
REVOKE EXECUTE ON FUNCTION app_memberships, app_clinics, app_managed_clinics, app_owned_clinics,
  clinic_is_empty, find_account FROM PUBLIC;
GRANT EXECUTE ON FUNCTION app_memberships, app_clinics, app_managed_clinics, app_owned_clinics,
  clinic_is_empty, find_account TO carelane_app;
"""

REFERENCE = ("specialty", "symptom", "city")
MEMBERSHIPS = "clinic_id = ANY ((SELECT app_memberships())::uuid[])"
CLINICS = "clinic_id = ANY ((SELECT app_clinics())::uuid[])"
MANAGED = "clinic_id = ANY ((SELECT app_managed_clinics())::uuid[])"
OWNED = "clinic_id = ANY ((SELECT app_owned_clinics())::uuid[])"
BELOW = f"({MANAGED} AND role IN ('front_desk', 'doctor')) OR {OWNED}"
ADMIN = "(SELECT app_admin()) IS NOT NULL"
OWN = "doctor_id = (SELECT app_user())"
OWN_PRACTICE = (
    "EXISTS (SELECT FROM practice p WHERE p.practice_id = visit_type.practice_id"
    f" AND (p.{OWN} OR p.{MANAGED}))"
)
# No doctor verifies themselves: that a profile is verified needs a request that was granted.
UNVERIFIED = (
    f"{OWN} AND (verification_status <> 'verified' OR EXISTS (SELECT FROM verification v"
    " WHERE v.doctor_id = doctor_profile.doctor_id AND v.status = 'verified'))"
)
FELLOW = (
    "EXISTS (SELECT FROM clinic_member m WHERE m.user_id = user_account.user_id"
    f" AND m.{MEMBERSHIPS})"
)
FIRST_OWNER = "user_id = (SELECT app_user()) AND role = 'owner' AND clinic_is_empty(clinic_id)"


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(FUNCTIONS)
    for table in (*REFERENCE, "clinic", "doctor_profile", "doctor_specialty", "practice"):
        protect(table)
        allow(table, "carelane_app", "SELECT")
        allow(table, "carelane_worker", "SELECT")
    for table in ("clinic_member", "verification", "visit_type"):
        protect(table)
    app = "carelane_app"
    # A new clinic has no member, so that nothing ties it to its opener yet.
    allow("clinic", app, "INSERT", "(SELECT app_user()) IS NOT NULL AND kind = 'clinic'")
    columns = "name, address, city_id, latitude, longitude, time_zone, phone, update_time"
    allow_columns("clinic", columns, MANAGED)
    allow("clinic_member", app, "SELECT", f"{MEMBERSHIPS} OR {ADMIN}")
    allow("clinic_member", app, "INSERT", f"{BELOW} OR ({FIRST_OWNER})")
    allow_columns("clinic_member", "role", BELOW)
    allow("clinic_member", app, "DELETE", f"{BELOW} OR user_id = (SELECT app_user())")
    columns = "full_name, qualifications, practising_since, languages, bio, update_time"
    # Not its rating and rank, which come from others.
    allow("doctor_profile", app, f"INSERT (doctor_id, {columns}, create_time)", UNVERIFIED)
    columns += ", verification_status, revision"
    allow_columns("doctor_profile", columns, f"{OWN} OR {ADMIN}", f"({UNVERIFIED}) OR {ADMIN}")
    allow("doctor_specialty", app, "INSERT, DELETE", OWN)
    allow("verification", app, "SELECT", f"{OWN} OR {ADMIN}")
    allow("verification", app, "INSERT", f"{OWN} AND status = 'pending'")
    asked = f"{OWN} AND status = 'superseded'"
    columns = "status, reason, decide_time, decided_by"
    allow_columns("verification", columns, f"{OWN} OR {ADMIN}", f"({asked}) OR {ADMIN}")
    allow("practice", app, "INSERT", f"{OWN} AND {MEMBERSHIPS}")
    allow_columns("practice", "fee, status", f"{OWN} OR {MANAGED}")
    allow("visit_type", app, "SELECT")
    allow("visit_type", "carelane_worker", "SELECT")
    allow("visit_type", app, "INSERT", OWN_PRACTICE)
    columns = "name, length_minutes, buffer_before_minutes, buffer_after_minutes"
    columns += ", interval_minutes, offset_minutes, notice_minutes, horizon_days, price, is_default"
    allow_columns("visit_type", columns, OWN_PRACTICE)
    op.execute(f"CREATE POLICY fellow_members ON user_account FOR SELECT TO {app} USING ({FELLOW})")
    for table in ("clinic_feed", "feed_entry"):
        allow(table, app, "SELECT", CLINICS)


def allow_columns(table: str, columns: str, rows: str, check: str = "") -> None:
    """Let the server change these columns of the rows for which `rows` holds, and no others."""
    op.execute(f"GRANT UPDATE ({columns}) ON {table} TO carelane_app")
    op.execute(
        f"CREATE POLICY carelane_app_update ON {table} FOR UPDATE TO carelane_app"
        f" USING ({rows}) WITH CHECK ({check or rows})"
    )


def downgrade() -> None:
    op.execute("DROP POLICY fellow_members ON user_account")
    for table in ("feed_entry", "clinic_feed"):
        op.execute(f"DROP POLICY carelane_app_select ON {table}")
        op.execute(f"REVOKE ALL ON {table} FROM carelane_app")
    op.execute("DROP TABLE visit_type, practice, verification, doctor_specialty, doctor_profile")
    op.execute("DROP TABLE clinic_member, clinic, city, symptom, specialty")
    op.execute("DROP FUNCTION find_account, app_memberships, app_clinics, app_managed_clinics")
    op.execute("DROP FUNCTION app_owned_clinics, clinic_is_empty")
