from django.db import migrations

from changes.triggers import create_functions
from database.row_security import create_policy


class Migration(migrations.Migration):
    dependencies = [("changes", "0001_changes")]

    operations = [create_functions(), create_policy("changes_removal"), create_policy("changes_forgotten")]
