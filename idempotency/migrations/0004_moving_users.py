from django.db import migrations

from changes.triggers import refuse_moving_users


class Migration(migrations.Migration):
    dependencies = [("changes", "0003_move"), ("idempotency", "0003_caller_index")]

    # Without deletions, because purge_idempotency_keys may delete a copied response.
    operations = [refuse_moving_users("idempotency_keptresponse", deletions=False)]
