from django.db import migrations

from changes.triggers import refuse_moving_users


class Migration(migrations.Migration):
    dependencies = [("changes", "0003_move"), ("tasks", "0013_search_statistics")]

    operations = [refuse_moving_users("tasks_task")]
